"""python-fmask, which masks clouds by several `apply` of RIOS, with all blocks in workers."""

import importlib.util

import pytest

from tests.hosts.support import hosted

if not hosted.generation():
    pytest.skip("no RIOS is installed (tox -e rios2, riosdev do it)", allow_module_level=True)
if hosted.generation() == 1:
    pytest.skip(
        "python-fmask reads otherArgs after `apply`: only RIOS 2 returns what workers wrote there",
        allow_module_level=True,
    )
if importlib.util.find_spec("fmask") is None:
    pytest.skip(
        "python-fmask is not installed (tox -e rios2, riosdev do it; FMASK_REQUIREMENT says from "
        "where)",
        allow_module_level=True,
    )

import numpy as np
from fmask import fmask
from osgeo import gdal

from tests.peers.support.driving import drive
from tests.peers.support.masked import MASK

PROGRAM = "tests.peers.support.masked"
CLASSES = {
    fmask.OUTCODE_NULL,
    fmask.OUTCODE_CLEAR,
    fmask.OUTCODE_CLOUD,
    fmask.OUTCODE_SHADOW,
    fmask.OUTCODE_SNOW,
    fmask.OUTCODE_WATER,
}


def mask(folder):
    return gdal.Open(str(folder / MASK)).ReadAsArray()


def test_the_mask_is_that_of_a_serial_run(cloud, tmp_path):
    """A scene with every class has the same mask, pixel by pixel."""
    serial = drive("serial", PROGRAM, tmp_path / "serial")
    workers = drive("workers", PROGRAM, tmp_path / "workers")
    assert (serial.outcome, workers.outcome) == ("True", "True"), serial.said + workers.said
    assert set(np.unique(mask(tmp_path / "serial"))) == CLASSES
    assert np.array_equal(mask(tmp_path / "serial"), mask(tmp_path / "workers"))
    assert workers.blocks == {"workers": sum(serial.calls)}
