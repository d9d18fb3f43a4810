"""What `.gitignore` names is what Git says that it names."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rios_plugin_awsbatch.run.gitignore import GitIgnore

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="Git tells what is right")

FILES = [
    "a.py",
    "a.tif",
    "keep.tif",
    "build/a.py",
    "build/keep.tif",
    "data/a.tif",
    "data/deep/a.tif",
    "data/deep/b.csv",
    "deep/build/a.py",
    "deep/data/x1.csv",
    "deep/data/x12.csv",
    "deep/#odd",
    "deep/!odd",
    "deep/[odd]",
    "deep/trailing ",
    "deep/back\\slash",
]
RULES = [
    "*.tif",
    "*.tif\n!keep.tif",
    "/a.tif",
    "build",
    "build/",
    "/build/",
    "deep/build",
    "data/*",
    "data/**",
    "**/data",
    "**/deep/a.tif",
    "data/**/a.tif",
    "a.*",
    "x?.csv",
    "x[0-9].csv",
    "x[!2-9].csv",
    "x[",
    "# a.py\n\n   \n",
    "\\#odd",
    "\\!odd",
    "\\[odd\\]",
    "trailing\\ ",
    "a.py   ",
    "back\\\\slash",
    "*",
    "*\n!*/\n!*.py",
]


def ignored_by_git(folder):
    """Return the files that Git leaves out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"],
        cwd=folder,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True,
        check=True,
    ).stdout
    return {*FILES} - {os.fsdecode(name) for name in listed.split(b"\0")}


def ignored_by_us(root, folder):
    """Return the files that a walk leaves out, with its paths below the root."""
    rules = GitIgnore(folder)
    left_out = set()
    for place, folders, names in os.walk(folder):
        if place != str(folder):
            rules.read(Path(place))
        for name in list(folders):
            path = f"{place}/{name}"
            if rules.names(path, is_folder=True):
                folders.remove(name)
                left_out |= {file for file in Path(path).rglob("*") if file.is_file()}
        left_out |= {
            Path(place, name) for name in names if rules.names(f"{place}/{name}", is_folder=False)
        }
    return {path.relative_to(root).as_posix() for path in left_out} & {*FILES}


@pytest.fixture
def repository(tmp_path):
    """A repository with files, none of which is tracked."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


@pytest.mark.parametrize("rules", RULES)
def test_a_rule_names_what_it_names_for_git(rules, repository):
    """Anchored and not, of folders, negated, escaped, with and without wildcards."""
    (repository / ".gitignore").write_text(rules + "\n")
    assert ignored_by_us(repository, repository) == ignored_by_git(repository)


@pytest.mark.parametrize("below", ["*.csv", "!a.tif", "/data", "x1.csv"])
def test_the_rules_of_a_folder_come_after_those_above(below, repository):
    """The last rule that matches counts."""
    (repository / ".gitignore").write_text("*.tif\n")
    (repository / "deep" / ".gitignore").write_text(below + "\n")
    (repository / "data" / ".gitignore").write_text(below + "\n")
    assert ignored_by_us(repository, repository) == ignored_by_git(repository)


def test_a_folder_is_under_the_rules_of_its_repository(repository):
    """Also when only that folder is looked at."""
    (repository / ".gitignore").write_text("x1.csv\n")
    assert ignored_by_us(repository, repository / "deep") == {"deep/data/x1.csv"}


def test_an_environment_that_git_ignores_says_nothing_of_its_packages(tmp_path):
    """`virtualenv` writes a file into each environment that ignores all of it."""
    package = tmp_path / "env" / "lib" / "site-packages" / "one"
    package.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "env" / ".gitignore").write_text("*")
    (package / ".gitignore").write_text("data")
    ignored = GitIgnore(package)
    assert not ignored.names(str(package / "module.py"), is_folder=False)
    assert ignored.names(str(package / "data"), is_folder=True)
