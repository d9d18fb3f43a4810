"""An image like the environment that it is built in."""

import platform
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest

from rios_plugin_awsbatch.image.rios import LATEST_RIOS
from rios_plugin_awsbatch.wire.versions import PYTHON
from tests.image.support.programs import CONDA_DOCKERFILE, arguments, rios_awsbatch

OTHER = "3.13" if PYTHON == "3.12" else "3.12"
MAJOR, MINOR = np.__version__.split(".")[:2]
ENVIRONMENT = """\
name: landcover
channels:
  - conda-forge
dependencies:  # what the script imports
  - python
  - numpy>=1.24
  - conda-forge::xarray=2024.*
  - pip:
    - zarr>=3
prefix: /home/somebody/landcover
"""


def built(builder, *options):
    """Build with options; return the first call of the builder."""
    done = rios_awsbatch("image", "build", *options)
    assert done.returncode == 0, done.stderr
    return builder()[0]


def refused(builder, *options):
    """Return the error of a build that must not even begin."""
    done = rios_awsbatch("image", "build", *options)
    assert done.returncode == 1
    assert builder() == []
    (line,) = done.stderr.splitlines()
    return line.removeprefix("rios-awsbatch: ")


def packages(call, name):
    return call["files"][f"packages/{name}"].splitlines()


def test_without_options_it_has_the_python_and_the_numpy_of_this_environment(builder):
    """Also cloudpickle's version; pip may replace none of them."""
    build = built(builder)
    assert arguments(build)["PYTHON"] == ".".join(platform.python_version_tuple()[:2])
    held = [f"numpy=={MAJOR}.{MINOR}.*", f"cloudpickle=={cloudpickle.__version__}"]
    assert packages(build, "constraints.txt") == held
    assert packages(build, "requirements.txt") == packages(build, "pip.txt") == []


def test_another_python_keeps_the_major_version_of_numpy(builder):
    """Not every numpy exists for every Python."""
    build = built(builder, "--python", OTHER)
    assert arguments(build)["PYTHON"] == OTHER
    assert packages(build, "constraints.txt")[0] == f"numpy>={MAJOR},<{int(MAJOR) + 1}"


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("3.9", "Python 3.9 is too old; this package needs 3.10 or newer."),
        ("2.7", f"Python 2.7 is not a minor version such as {PYTHON}."),
        ("3.12.1", f"Python 3.12.1 is not a minor version such as {PYTHON}."),
    ],
)
def test_a_python_that_cannot_be_had_is_refused(builder, version, told):
    """Nothing is built."""
    assert refused(builder, "--python", version) == told


def test_an_apt_package_for_another_python_is_refused(builder):
    """The image would have it, and its Python would not find it."""
    told = refused(builder, "--extra-packages", "less python3-scipy")
    assert told.startswith("apt's python3-scipy is for the system's own Python")
    assert "name scipy in --pip-packages" in told


def test_a_requirements_file_arrives_as_it_is(builder, tmp_path):
    """Its hashes too, which pip then checks."""
    lines = [b"zarr==3.1.0 \\\n    --hash=sha256:" + b"0" * 64 + b"\n", b"# \xc3\xa9\n"]
    (tmp_path / "lock.txt").write_bytes(b"".join(lines))
    build = built(builder, "--requirements", tmp_path / "lock.txt")
    assert build["files"]["packages/requirements.txt"].encode() == b"".join(lines)


def test_a_requirements_file_that_is_not_there(builder):
    """Nothing is built."""
    told = refused(builder, "--requirements", "nowhere.txt")
    assert told == ("The requirements file nowhere.txt cannot be read: No such file or directory.")


def test_like_here_lists_the_packages_of_this_environment(builder):
    """Neither this package, nor what the image has anyway; pins are exact."""
    listed = packages(built(builder, "--like-here", "--pip-packages", "zarr"), "pip.txt")
    names = {line.partition("==")[0] for line in listed}
    assert {"boto3", "pydantic"} <= names
    assert not names & {"numpy", "gdal", "pip", "setuptools", "rios", "rios-plugin-awsbatch"}
    assert f"cloudpickle=={cloudpickle.__version__}" in listed
    assert listed[-1] == "zarr"


def test_like_here_leaves_out_what_is_installed_from_a_folder(tmp_path):
    """An editable package is named, and pip is not asked for something of the same name."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from rios_plugin_awsbatch.image.likeness import packages_here\n"
        "listed, local = packages_here()\n"
        "print([one for one in listed if one.startswith('own')], local)"
    )
    kinds = {
        "own-editable": '{"url": "file:///home/own", "dir_info": {"editable": true}}',
        "own-vcs": '{"url": "https://host/own", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
        "own-local": None,
    }
    for name, origin in kinds.items():
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1+cu121\n")
        if origin:
            (info / "direct_url.json").write_text(origin)
    command = [sys.executable, "-c", code, tmp_path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith("['own-local==1', 'own-vcs @ git+https://host/own@abc'] ")
    assert "own-editable" in told


def test_an_environment_file_of_conda_gets_what_the_image_must_have(builder, tmp_path):
    """Python, numpy and cloudpickle as here, and GDAL: conda-forge's."""
    path = tmp_path / "environment.yml"
    path.write_text(ENVIRONMENT)
    build = built(builder, "--conda", path)
    assert build["files"]["Dockerfile"] == CONDA_DOCKERFILE
    assert "PYTHON" not in arguments(build)
    added = f"""\
  - python={PYTHON}.*
  - numpy={MAJOR}.{MINOR}.*
  - cloudpickle={cloudpickle.__version__}
  - gdal
  - pip
"""
    at = ENVIRONMENT.index("  - python\n")
    completed = ENVIRONMENT[:at] + added + ENVIRONMENT[at:]
    assert build["files"]["packages/environment.yml"] == completed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no package stands below `dependencies:`"),
        ("dependencies:\n", "no package stands below `dependencies:`"),
        ("name: x\nchannels:\n  - conda-forge\n", "no package stands below `dependencies:`"),
        ("numpy==2.1\nscipy\n", "line 1, 'numpy==2.1', is not a package"),
        ("dependencies:\n\t- numpy\n", "line 2, '- numpy', is not a package"),
        ("dependencies: [numpy, gdal\n", "line 1, 'dependencies: [numpy, gdal', is not a package"),
        ("dependencies:\n  - numpy\n  gdal\n", "line 3, 'gdal', is not a package"),
        ("- numpy\n", "line 1, '- numpy', is not a package"),
        ("{\n}", "line 1, '{', is not a package"),
    ],
)
def test_a_broken_environment_file_is_refused(builder, tmp_path, text, told):
    """One sentence says where, and nothing is built."""
    path = tmp_path / "environment.yml"
    path.write_text(text)
    error = refused(builder, "--conda", path)
    assert error.startswith(f"{path} is no environment file of conda: ")
    assert told in error


def test_an_environment_file_that_cannot_be_read(builder, tmp_path):
    """It is missing, or no text."""
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    told = refused(builder, "--conda", tmp_path / "binary.yml")
    assert told.endswith("binary.yml cannot be read: it is not text.")
    told = refused(builder, "--conda", tmp_path / "nowhere.yml")
    assert told.endswith("nowhere.yml cannot be read: No such file or directory.")


PACKED = """
import importlib.metadata, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from rios_plugin_awsbatch.image.rios import rios_source
print(rios_source(None, Path(sys.argv[2])))
"""


def source_of_rios(site, into):
    into.mkdir()
    command = [sys.executable, "-c", PACKED, site, into]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def installed_rios(site, **files):
    """Make a folder in which RIOS 7.1 is installed."""
    (site / "rios").mkdir(parents=True)
    (site / "rios" / "__init__.py").write_text('RIOS_VERSION = "7.1"\n')
    info = site / "rios-7.1.dist-info"
    info.mkdir()
    texts = {
        "METADATA": "Metadata-Version: 2.1\nName: rios\nVersion: 7.1\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "rios/__init__.py,,\nrios-7.1.dist-info/METADATA,,\nrios-7.1.dist-info/WHEEL,,\n",
        **files,
    }
    for name, text in texts.items():
        (info / name).write_text(text)


def test_rios_is_the_one_of_this_environment(tmp_path):
    """Its installed files are packed as a wheel, which needs nothing to be downloaded."""
    installed_rios(tmp_path / "site")
    told = source_of_rios(tmp_path / "site", tmp_path / "packages")
    assert told == "/packages/rios-7.1-py3-none-any.whl"
    target = tmp_path / "target"
    options = ["--quiet", "--no-index", "--no-deps", f"--target={target}"]
    wheel = tmp_path / "packages" / "rios-7.1-py3-none-any.whl"
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], check=True)
    assert (target / "rios" / "__init__.py").read_text() == 'RIOS_VERSION = "7.1"\n'


def test_an_editable_rios_is_its_folder(tmp_path):
    """The folder goes into the image as an archive."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    origin = f'{{"url": "{folder.as_uri()}", "dir_info": {{"editable": true}}}}'
    installed_rios(tmp_path / "site", **{"direct_url.json": origin})
    assert source_of_rios(tmp_path / "site", tmp_path / "packages") == "/packages/rios.tar.gz"
    assert (tmp_path / "packages" / "rios.tar.gz").exists()


def test_a_rios_with_compiled_files_is_its_release(tmp_path):
    """They are for this machine, and not for the image."""
    installed_rios(tmp_path / "site", WHEEL="Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
    told = source_of_rios(tmp_path / "site", tmp_path / "packages")
    assert told.endswith("/rios-7.1/rios-7.1.tar.gz")


def test_where_there_is_no_rios_the_image_gets_the_latest(tmp_path):
    """A main that only uses BatchExecutor needs none."""
    folder = tmp_path / "site" / "rios"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError")
    told = source_of_rios(tmp_path / "site", tmp_path / "packages")
    assert told.endswith(f"/rios-{LATEST_RIOS}/rios-{LATEST_RIOS}.tar.gz")
