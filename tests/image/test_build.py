"""Building the image."""

import subprocess
import tarfile

import pytest

import rios_plugin_awsbatch
from rios_plugin_awsbatch.image.builder import VERSIONS_FILE
from rios_plugin_awsbatch.wire.versions import PYTHON
from tests.image.support.programs import (
    DOCKERFILE,
    FOLDER,
    TAG,
    VERSIONS,
    arguments,
    make,
    rios_awsbatch,
    verbs,
)


def test_build(builder):
    """The image gets the wheel of this very package, and its versions as labels and as a tag."""
    done = rios_awsbatch("image", "build", "--builder", "podman")
    assert done.stdout == f"Built rios:latest\nBuilt rios:{TAG}\n", done.stderr
    build, ask, label, tag = builder()
    wheel = f"rios_plugin_awsbatch-{rios_plugin_awsbatch.__version__}-py3-none-any.whl"
    lists = ["packages/constraints.txt", "packages/pip.txt", "packages/requirements.txt"]
    assert sorted(build["files"]) == ["Dockerfile", *lists, f"packages/{wheel}"]
    assert build["files"]["Dockerfile"] == DOCKERFILE
    options = ["--rm", "--pull=never", "--entrypoint=cat"]
    assert ask["words"] == ["run", *options, "rios:latest", VERSIONS_FILE]
    assert label["files"] == {"Dockerfile": "FROM rios:latest\n"}
    labels = [f"--label=rios-awsbatch.{name}={version}" for name, version in VERSIONS.items()]
    labels.append(f"--label=org.opencontainers.image.version={TAG}")
    assert label["words"][:-1] == ["build", "--tag=rios:latest", *labels, "--pull=never"]
    assert tag["words"] == ["tag", "rios:latest", f"rios:{TAG}"]


def test_build_with_all_options(builder):
    """Packages, base image, platform, name and further options arrive as they are."""
    options = {
        "--extra-packages": "libgeos-dev less",
        "--pip-packages": "xarray[io]>=2024 zarr",
        "--name": "mine",
        "--base-image": "ghcr.io/osgeo/gdal:x",
        "--platform": "linux/arm64",
        "--options": "--no-cache --label 'a b'",
        "--rios": "1.4.17",
    }
    done = rios_awsbatch("image", "build", *(word for pair in options.items() for word in pair))
    assert done.returncode == 0, done.stderr
    build = builder()[0]
    assert build["words"][:3] == ["build", "--tag=mine:latest", "--platform=linux/arm64"]
    assert build["files"]["packages/pip.txt"] == "xarray[io]>=2024\nzarr\n"
    assert build["words"][-4:-1] == ["--no-cache", "--label", "a b"]
    assert arguments(build) == {
        "BASE_IMAGE": "ghcr.io/osgeo/gdal:x",
        "RIOS": "https://github.com/ubarsc/rios/releases/download/rios-1.4.17/rios-1.4.17.tar.gz",
        "EXTRA_PACKAGES": "libgeos-dev less",
        "PYTHON": PYTHON,
    }


@pytest.mark.usefixtures("repositories")
def test_build_for_the_machines_of_the_stack(builder):
    """If there is a stack, the image is built for its machines, unless a platform is given."""
    assert rios_awsbatch("image", "build").returncode == 0
    assert rios_awsbatch("image", "build", "--platform", "linux/amd64").returncode == 0
    builds = [call["words"] for call in builder() if call["words"][0] == "build"]
    platforms = ["--platform=linux/arm64"] * 2 + ["--platform=linux/amd64"] * 2
    assert [words[2] for words in builds] == platforms


def test_a_local_rios(builder, tmp_path):
    """A local archive or folder of RIOS goes into the build context."""
    folder = tmp_path / "rios"
    folder.mkdir()
    (folder / "setup.py").write_text("")
    archive = tmp_path / "rios-2.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "rios-2.1")
    for given, name in ((archive, "rios-2.1.tar.gz"), (folder, "rios.tar.gz")):
        assert rios_awsbatch("image", "build", "--rios", given).returncode == 0
        build = [call for call in builder() if "packages/pip.txt" in call.get("files", ())][-1]
        assert f"packages/{name}" in build["files"]
        assert arguments(build)["RIOS"] == f"/packages/{name}"
    missing = rios_awsbatch("image", "build", "--rios", "nowhere.tar.gz")
    assert missing.returncode == 1
    told = "RIOS nowhere.tar.gz is neither a version such as 2.0.9, nor a URL, nor an archive or a "
    assert told in missing.stderr


def test_buildah_needs_a_container(builder):
    """buildah does not run images: the tag is read in a container, which is then removed."""
    done = rios_awsbatch("image", "build", "--builder", "buildah")
    assert f"Built rios:{TAG}" in done.stdout, done.stderr
    assert verbs(builder()) == ["build", "from", "run", "rm", "build", "tag"]


def test_a_build_that_fails(builder, monkeypatch):
    """The error has the builder's exit status, and nothing is tagged."""
    monkeypatch.setenv("FAILS_AT", "build")
    done = rios_awsbatch("image", "build", "--builder", "docker")
    assert done.returncode == 1
    assert "rios-awsbatch: `docker build` failed with exit status 125; " in done.stderr
    assert verbs(builder()) == ["build"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "#9 12.1 ERROR: No matching distribution found for nosuchpackage==9",
            "No matching distribution found for nosuchpackage==9",
        ),
        ("E: Unable to locate package libnothing", "Unable to locate package libnothing"),
        ("NOTE: nothing\nerror: a\nERROR: b", "a"),
        (
            "error: No interpreter found for Python 3.99 in managed installations or search path",
            "No interpreter found for Python 3.99 in managed installations or search path",
        ),
        (
            "error    libmamba Could not solve for environment specs",
            "Could not solve for environment specs",
        ),
    ],
)
def test_what_cannot_be_had_is_named_in_the_error(builder, monkeypatch, line, reason):
    """The last line has the reason of pip, apt, uv or micromamba; their output comes before."""
    monkeypatch.setenv("FAILS_AT", "build")
    monkeypatch.setenv("SAYS", line)
    done = rios_awsbatch("image", "build", "--builder", "podman")
    *output, told = done.stderr.splitlines()
    assert output == line.splitlines()
    assert told == f"rios-awsbatch: `podman build` failed with exit status 125: {reason}."
    assert verbs(builder()) == ["build"]


def test_a_builder_that_is_not_installed():
    """The error names the other builders."""
    done = rios_awsbatch("image", "build", "--builder", "kaniko")
    assert done.returncode == 1
    assert "kaniko cannot be run: No such file or directory." in done.stderr
    assert "docker, podman, buildah" in done.stderr


@pytest.mark.usefixtures("repositories")
def test_make_builds_and_pushes(builder):
    """make does all of it, with variables from the environment and the command line."""
    environment = {"RIOS_AWSBATCH_REGION": "ap-southeast-2", "EXTRA_PACKAGES": "less libgeos-dev"}
    done = make("PIP_PACKAGES=xarray zarr", **environment)
    assert done.returncode == 0, done.stderr
    assert verbs(builder())[:4] == ["build", "run", "build", "tag"]
    assert verbs(builder())[-1] == "push"
    assert arguments(builder()[0])["EXTRA_PACKAGES"] == "less libgeos-dev"
    assert builder()[0]["files"]["packages/pip.txt"] == "xarray\nzarr\n"


def test_make_needs_a_region_to_push_to(builder):
    """Building needs none; pushing is refused if nobody has named one."""
    done = make("push")
    assert done.returncode != 0
    assert "RIOS_AWSBATCH_REGION is not set" in done.stderr
    assert builder() == []
    assert make("build", "BUILDER=podman").returncode == 0


def test_check_says_why_it_skips(tmp_path):
    """Without its tools, the check of a real image is skipped with a reason."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    done = subprocess.run(
        [tmp_path / "bash", FOLDER / "check.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (
        0,
        "image/check.sh: skipped: there is no buildah here (apt-get install buildah debootstrap)\n",
    )
