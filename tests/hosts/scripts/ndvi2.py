"""Compute an NDVI as scripts for RIOS 2 do: script INPUT OUTPUT [WORKERS]."""

import sys

import numpy as np
from rios import applier
from rios.structures import CW_AWSBATCH, ConcurrencyStyle


def ndvi(info, inputs, outputs):
    red, infrared = inputs.img[1:3].astype(np.float32)
    outputs.ndvi = ((infrared - red) / np.maximum(infrared + red, 1))[np.newaxis]


inputs, outputs = applier.FilenameAssociations(), applier.FilenameAssociations()
inputs.img, outputs.ndvi = sys.argv[1:3]
controls = applier.ApplierControls()
controls.setWindowSize(32, 32)
controls.setOutputDriverName("GTiff")
controls.setCreationOptions(["TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32"])
if sys.argv[3:]:
    style = ConcurrencyStyle(numComputeWorkers=int(sys.argv[3]), computeWorkerKind=CW_AWSBATCH)
    controls.setConcurrencyStyle(style)
applier.apply(ndvi, inputs, outputs, controls=controls)
