"""The versions of what a process has imported, or would import."""

import ast
import os
import platform
import subprocess
import sys

import cloudpickle
import pytest

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.records import Versions
from tests.support.images import Image

CODE = """
import sys
{before}
from rios_plugin_awsbatch.wire.versions import find_versions
before = set(sys.modules)
found = find_versions()
print(vars(found), sorted({{"numpy", "osgeo", "rios"}} & (sys.modules.keys() - before)))
"""


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "image")


def found(image, before=""):
    """Return what a Python with such packages finds; it must not have imported them for that."""
    ended = subprocess.run(
        [sys.executable, "-c", CODE.format(before=before)],
        env={**os.environ, **image.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    versions, _, imported = ended.stdout.strip().rpartition(" ")
    assert imported == "[]"
    return Versions(**ast.literal_eval(versions))


def test_the_metadata_tells_without_an_import(image):
    """numpy, and GDAL whose bindings cannot be asked without loading GDAL."""
    image.add_distribution("numpy", "97.3.0").add_distribution("GDAL", "97.4.0")
    versions = found(image)
    assert (versions.numpy, versions.gdal) == ("97.3.0", "97.4.0")


def test_what_is_imported_counts_more_than_metadata(image):
    """It is what functions use."""
    image.add_distribution("numpy", "97.3.0")
    assert found(image, before="import numpy; numpy.__version__ = '96.0.0'").numpy == "96.0.0"


@pytest.mark.parametrize("source", ["RIOS_VERSION = '97.5.0'", 'x = 1\nRIOS_VERSION="97.5.0"\n'])
def test_rios_from_an_archive_tells_its_version(image, source):
    """It may have no metadata, but its source says it."""
    assert found(image.add_module("rios", source)).rios == "97.5.0"


@pytest.mark.parametrize("source", ["", "raise SystemExit", "RIOS_VERSION = version()"])
def test_a_rios_that_does_not_tell_is_not_run_to_find_out(image, source):
    """Then the metadata counts, if there is any."""
    assert found(image.add_module("rios", source).add_distribution("rios", "97.6.0")).rios == (
        "97.6.0"
    )


def test_broken_metadata_is_no_version(image):
    """A distribution without a version does not stop a worker."""
    (image.folder / "GDAL-97.dist-info").mkdir()
    (image.folder / "GDAL-97.dist-info" / "METADATA").write_text("Name: GDAL\n")
    assert found(image).gdal is None


def test_the_rest_is_here_in_any_case(image):
    """Python, this package, and cloudpickle."""
    versions = found(image)
    assert versions.python == platform.python_version()
    assert versions.package == __version__
    assert versions.cloudpickle == cloudpickle.__version__


def test_the_text_names_what_is_known():
    """For people: in logs and errors."""
    versions = Versions(python="3.11.7", package="0.1.0", cloudpickle="3.1.3", gdal="3.6.2")
    assert str(versions) == (
        "Python 3.11.7, rios-plugin-awsbatch 0.1.0, cloudpickle 3.1.3, GDAL 3.6.2"
    )
