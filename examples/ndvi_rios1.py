"""NDVI on AWS Batch, with RIOS 1.4.

Try it on the embedded AWS: rios-awsbatch local -- python ndvi_rios1.py SCENE.tif NDVI.tif

This is a script for RIOS's own AWS Batch module. It needs no change for rios-plugin-awsbatch.
"""

import sys

import numpy as np
from rios import applier


def ndvi(_info, inputs, outputs):
    """Compute the NDVI of one block; the arrays are (bands, rows, columns)."""
    red = inputs.scene[2].astype(np.float32)
    infrared = inputs.scene[3].astype(np.float32)
    outputs.ndvi = ((infrared - red) / np.maximum(infrared + red, 1))[np.newaxis]


def main():
    infiles = applier.FilenameAssociations()
    outfiles = applier.FilenameAssociations()
    infiles.scene, outfiles.ndvi = sys.argv[1:]

    controls = applier.ApplierControls()
    controls.setOutputDriverName("GTiff")
    controls.setCreationOptions(["COMPRESS=DEFLATE", "TILED=YES"])
    controls.setNumThreads(3)  # two workers; this process computes one block of each round
    controls.setJobManagerType("AWSBatch")
    applier.apply(ndvi, infiles, outfiles, controls=controls)


if __name__ == "__main__":
    main()
