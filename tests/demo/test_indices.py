"""The functions that workers compute for the demo."""

import types

import numpy as np

from rios_plugin_awsbatch.demo.indices import BlockInfo, brightness, ndvi
from rios_plugin_awsbatch.demo.raster import NODATA


def test_functions_have_the_shape_that_rios_users_know():
    """They take info, inputs and outputs, with arrays of (bands, rows, columns), and no GDAL."""
    inputs = types.SimpleNamespace(
        scene=np.array([[[1, 0, 5]], [[3, 0, 5]]], np.uint8),
        valid=np.array([[1, 1, 0]], bool),
        scale=np.ones((2, 1, 1), np.float32),
        offset=np.zeros((2, 1, 1), np.float32),
    )
    info = BlockInfo(0, 0, NODATA)
    outputs = types.SimpleNamespace()
    ndvi(info, inputs, outputs)
    assert outputs.index.tolist() == [[0.5, NODATA, NODATA]]
    brightness(info, inputs, outputs)
    assert outputs.index.tolist() == [[2.0, 0.0, NODATA]]
