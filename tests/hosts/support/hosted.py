"""Which host is installed, and images as it reads and writes them."""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest


def contract():
    """Return which contract the host has, 1 or 2, be it RIOS or a double; 0 without a host."""
    for number, module in ((2, "rios.computemanager"), (1, "rios.parallel.jobmanager")):
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        return number
    return 0


def is_double():
    """Return whether the host is one of our doubles."""
    return contract() != 0 and not hasattr(importlib.import_module("rios"), "RIOS_VERSION")


def generation():
    """Return 1 or 2 for the real RIOS 1.4 or RIOS 2, or 0 without one."""
    return 0 if is_double() else contract()


def has_old_calls():
    """Return whether RIOS 2 still translates the calls of RIOS 1.4."""
    applier = importlib.import_module("rios.applier")
    return hasattr(applier.ApplierControls, "setJobManagerType")


def on_batch(**given):
    """Return what sets RIOS 2's controls to two workers of ours, in any of its versions."""
    structures = importlib.import_module("rios.structures")
    if "computeWorkerExtraParams" not in inspect.signature(structures.ConcurrencyStyle).parameters:
        if "computeWorkerExtraParams" in given:
            pytest.skip("this RIOS has no computeWorkerExtraParams")
        given.setdefault("computeWorkersRead", True)
    style = {"numComputeWorkers": 2, "computeWorkerKind": structures.CW_AWSBATCH, **given}
    return lambda controls: controls.setConcurrencyStyle(structures.ConcurrencyStyle(**style))


def write(path, array):
    """Write bands x rows x columns as the host reads it."""
    if is_double():
        with Path(path).open("wb") as file:
            np.save(file, array)
    else:
        importlib.import_module("tests.hosts.support.scene").write_image(path, array)


def read(path):
    """Return what the host has written."""
    if is_double():
        return np.load(path)
    return (
        importlib.import_module("osgeo.gdal")
        .Open(str(path))
        .ReadAsArray()
        .reshape(-1, ROWS, COLUMNS)
    )


ROWS, COLUMNS, BLOCK = 64, 112, 32  # eight blocks, the last of each row narrower


def image():
    """Return an image of two bands."""
    return np.arange(2 * ROWS * COLUMNS, dtype=np.int32).reshape(2, ROWS, COLUMNS) % 4999
