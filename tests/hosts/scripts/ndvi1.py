"""Compute an NDVI as scripts for RIOS 1.4 do: script INPUT OUTPUT [THREADS [TYPE]]."""

import sys

import numpy as np
from rios import applier


def ndvi(info, inputs, outputs):
    red, infrared = inputs.img[1:3].astype(np.float32)
    outputs.ndvi = ((infrared - red) / np.maximum(infrared + red, 1))[np.newaxis]


inputs, outputs = applier.FilenameAssociations(), applier.FilenameAssociations()
inputs.img, outputs.ndvi = sys.argv[1:3]
controls = applier.ApplierControls()
controls.setWindowXsize(32)
controls.setWindowYsize(32)
controls.setOutputDriverName("GTiff")
controls.setCreationOptions(["TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32"])
if sys.argv[3:]:
    controls.setNumThreads(int(sys.argv[3]))
if sys.argv[4:]:
    controls.setJobManagerType(sys.argv[4])
applier.apply(ndvi, inputs, outputs, controls=controls)
