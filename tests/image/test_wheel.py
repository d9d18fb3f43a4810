"""The wheel of this package, for the image; and what users get who install it."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from rios_plugin_awsbatch.stack.template import template_text
from tests.image.support.programs import DOCKERFILE

ROOT = Path(__file__).parents[2]
SCRIPTS = {"rios-awsbatch", "rios-awsbatch-main", "rios-awsbatch-worker"}
AGAIN = """
import sys
from pathlib import Path

import rios_plugin_awsbatch
from rios_plugin_awsbatch.image.wheel import plugin_wheel
from rios_plugin_awsbatch.stack.template import template_text

print(Path(rios_plugin_awsbatch.__file__).parent)
print(plugin_wheel(Path(sys.argv[1])))
print(template_text() == sys.argv[2])
"""


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A Python into which the wheel, and nothing of the checkout, is installed."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install(python, wheel)
    # The libraries are this environment's. Only their folders are named: a .pth file in them, an
    # editable checkout's, is not read.
    libraries = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return python


def install(python, wheel):
    options = ["--quiet", "--no-deps", "--no-index", "--force-reinstall"]
    subprocess.run([python, "-m", "pip", "install", *options, wheel], check=True)


def contents(wheel):
    """Return the files of a wheel, without its list of them."""
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if not name.endswith("RECORD")]
        return {name: packed.read(name) for name in names}


def without_checkout():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_has_template_dockerfile_and_hook(wheel):
    """The files that are no modules lie beside their code, the import hook beside the package."""
    files = contents(wheel)
    assert files["rios_plugin_awsbatch/image/Dockerfile"].decode() == DOCKERFILE
    template = (ROOT / "stack" / "batch.yaml").read_bytes()
    assert files["rios_plugin_awsbatch/stack/batch.yaml"] == template
    assert {"_rios_plugin_awsbatch_autoload.py", "rios_plugin_awsbatch_autoload.pth"} <= set(files)


def test_the_folders_that_users_know_have_the_same_files():
    """The template and the Dockerfile in the top folders are links, which lead to one file each."""
    for link in ("stack/batch.yaml", "image/Dockerfile"):
        assert (ROOT / link).resolve() == ROOT / "rios_plugin_awsbatch" / link
        assert not (ROOT / link).readlink().is_absolute()


def test_the_wheel_of_an_installed_package_is_what_is_installed(installed, wheel, tmp_path):
    """Without a checkout the installed files are packed into an equal wheel, which installs."""
    command = [installed, "-c", AGAIN, tmp_path, template_text()]
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=tmp_path, env=without_checkout()
    )
    package, packed, same = told.stdout.split()
    assert same == "True"
    package, packed = Path(package), Path(packed)
    assert installed.parents[1] in package.parents
    assert contents(packed) == contents(wheel)
    install(installed, packed)
    assert {script.name for script in installed.parent.glob("rios-*")} == SCRIPTS


def test_a_wheel_built_from_the_source_distribution_is_the_same(wheel, tmp_path):
    """The source distribution has all files, and both folders with their links."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
    subprocess.run([*build, "--directory", tmp_path], check=True, cwd=ROOT, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"stack/batch.yaml", "stack/createbatch.py", "stack/deletebatch.py"} <= names
    assert {"image/Dockerfile", "image/Makefile", "image/print_ecr_path.py"} <= names
    options = ["--quiet", "--no-deps", f"--wheel-dir={tmp_path}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, archive], check=True)
    (built,) = tmp_path.glob("*.whl")
    assert contents(built) == contents(wheel)
