"""A script for RIOS that measures one `apply`, and prints the result as JSON.

`hosts.py` runs it in a process of its own, with the RIOS that it finds there.
"""

import argparse
import importlib
import json
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from osgeo import gdal
from rios import applier

SLEEP = 0.5
gdal.UseExceptions()


def ndvi(_info, inputs, outputs, _otherargs):
    red, infrared = inputs.scene[2].astype(np.float32), inputs.scene[3].astype(np.float32)
    outputs.result = ((infrared - red) / np.maximum(infrared + red, 1))[np.newaxis]


def sleep(_info, inputs, outputs, otherargs):
    """Leave a file whose name says when the block began, and in which process."""
    Path(otherargs.folder, f"{time.time()}-{os.getpid()}").touch()
    time.sleep(SLEEP)
    outputs.result = inputs.scene[:1]


def make_scene(path, size, block):
    options = ["TILED=YES", f"BLOCKXSIZE={block}", f"BLOCKYSIZE={block}"]
    scene = gdal.GetDriverByName("GTiff").Create(path, size, size, 4, gdal.GDT_UInt16, options)
    scene.SetGeoTransform((0, 1, 0, 0, 0, -1))
    random = np.random.default_rng(1)
    for band in range(1, 5):
        scene.GetRasterBand(band).WriteArray(
            random.integers(0, 4000, (size, size), dtype=np.uint16)
        )


def controls_for(kind, workers, block):
    controls = applier.ApplierControls()
    controls.setWindowXsize(block)
    controls.setWindowYsize(block)
    controls.setOutputDriverName("GTiff")
    controls.setCreationOptions(["TILED=YES", f"BLOCKXSIZE={block}", f"BLOCKYSIZE={block}"])
    controls.setCalcStats(False)
    if kind == "AWSBatch":
        controls.setNumThreads(workers)
        controls.setJobManagerType(kind)
        if os.environ.get("RIOS_AWSBATCH_AUTOLOAD") == "0":
            importlib.import_module("rios.parallel.aws.batch")  # RIOS's own
    else:
        structures = importlib.import_module("rios.structures")
        reads = {} if kind == "CW_AWSBATCH" else {"computeWorkersRead": False, "numReadWorkers": 1}
        style = structures.ConcurrencyStyle(
            computeWorkerKind=kind, numComputeWorkers=workers, **reads
        )
        controls.setConcurrencyStyle(style)
    return controls


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", help="AWSBatch, CW_AWSBATCH or CW_SUBPROC")
    parser.add_argument("job", choices=["ndvi", "sleep"])
    parser.add_argument("workers", type=int)
    arguments = parser.parse_args()
    size, block, function = (4000, 256, ndvi) if arguments.job == "ndvi" else (512, 64, sleep)
    with tempfile.TemporaryDirectory() as folder:
        infiles, outfiles = applier.FilenameAssociations(), applier.FilenameAssociations()
        infiles.scene, outfiles.result = f"{folder}/scene.tif", f"{folder}/result.tif"
        make_scene(infiles.scene, size, block)
        otherargs = applier.OtherInputs()
        otherargs.folder = tempfile.mkdtemp(dir=folder)
        controls = controls_for(arguments.kind, arguments.workers, block)
        begun = time.time()
        applier.apply(function, infiles, outfiles, otherargs, controls=controls)
        ended = time.time()
        stamps = [path.name.split("-") for path in Path(otherargs.folder).iterdir()]
    begins = {}  # of each worker's first block, by its process
    for when, pid in stamps:
        if int(pid) != os.getpid():
            begins[pid] = min(float(when), begins.get(pid, math.inf))
    first, last = min(begins.values(), default=begun), max(begins.values(), default=begun)
    # "after_start" begins with the first block in a worker, when other workers may not be ready.
    print(json.dumps({"wall": ended - begun, "after_start": ended - first, "spread": last - first}))


if __name__ == "__main__":
    main()
