"""NDVI on AWS Batch, with RIOS 2.

Try it on the embedded AWS: rios-awsbatch local -- python ndvi_rios2.py SCENE.tif NDVI.tif

This is a script for RIOS's own CW_AWSBATCH. It needs no change for rios-plugin-awsbatch.
"""

import sys

import numpy as np
from rios import applier
from rios.structures import CW_AWSBATCH, ConcurrencyStyle


def ndvi(_info, inputs, outputs, otherargs):
    """Compute the NDVI of one block; the arrays are (bands, rows, columns)."""
    red = inputs.scene[2].astype(np.float32)
    infrared = inputs.scene[3].astype(np.float32)
    outputs.ndvi = ((infrared - red) / np.maximum(infrared + red, 1))[np.newaxis]
    otherargs.green += int((outputs.ndvi > otherargs.threshold).sum())


def main():
    infiles = applier.FilenameAssociations()
    outfiles = applier.FilenameAssociations()
    infiles.scene, outfiles.ndvi = sys.argv[1:]

    controls = applier.ApplierControls()
    controls.setConcurrencyStyle(
        ConcurrencyStyle(computeWorkerKind=CW_AWSBATCH, numComputeWorkers=2)
    )
    controls.setOutputDriverName("GTiff")
    controls.setCreationOptions(["COMPRESS=DEFLATE", "TILED=YES"])

    otherargs = applier.OtherInputs()
    otherargs.green, otherargs.threshold = 0, 0.2
    done = applier.apply(ndvi, infiles, outfiles, otherargs, controls)

    # Each task had its own copy of otherargs, so the sum over all of them is exact.
    print("green pixels:", sum(one.green for one in done.otherArgsList))
    print(done.timings.formatReport())


if __name__ == "__main__":
    main()
