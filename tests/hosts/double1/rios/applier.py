"""The driver: reads blocks, has them computed in rounds, and writes them in order."""

import copy
import os
import sys
import threading
from pathlib import Path

import numpy as np

from .parallel import jobmanager


class FilenameAssociations:
    pass


class OtherInputs:
    pass


class BlockAssociations:
    pass


class ApplierControls:
    def __init__(self):
        self.window = [256, 256]
        self.tempdir = "."
        self.numThreads = 1
        self.jobManagerType = os.environ.get("RIOS_DFLT_JOBMGRTYPE")

    def setWindowXsize(self, size):
        self.window[0] = size

    def setWindowYsize(self, size):
        self.window[1] = size

    def setNumThreads(self, count):
        self.numThreads = count

    def setJobManagerType(self, kind):
        self.jobManagerType = kind

    def setTempdir(self, folder):
        self.tempdir = folder

    def setOutputDriverName(self, name):
        """Have only one format."""

    def setCreationOptions(self, options):
        """Have no options."""


class Dataset:
    """An open file; like GDAL's, it cannot be pickled."""

    def __init__(self, path):
        self.path, self.array, self.lock = path, np.load(path), threading.Lock()
        self.RasterCount = len(self.array)

    def GetRasterBand(self, number):
        return Band(self.array[number - 1])

    def ReadAsArray(self):
        return self.array


class Band:
    def __init__(self, array):
        self.YSize, self.XSize = array.shape

    def GetNoDataValue(self):
        return None


class ReaderInfo:
    """What the user's function is told of its block; like RIOS's own, it cannot be pickled."""

    def __init__(self, column, row, total):
        self.xblock, self.yblock, self.total = column, row, total
        self.blocklookup = {}
        self.loggingstream = sys.stdout

    def read(self, dataset, place):
        array = dataset.array[place]
        self.blocklookup[id(array)] = dataset, dataset.path
        return array

    def getFilenameFor(self, block):
        return self.blocklookup[id(block)][1]

    def getGDALDatasetFor(self, block):
        return self.blocklookup[id(block)][0]

    def getGDALBandFor(self, block, band):
        return self.getGDALDatasetFor(block).GetRasterBand(band)

    def getBlockCount(self):
        return self.xblock, self.yblock

    def getTotalBlocks(self):
        return self.total


class RIOSJobInfo(jobmanager.JobInfo):
    def __init__(self, info, inputs, otherargs):
        self.info, self.inputs, self.otherargs = info, inputs, otherargs

    def prepareForPickling(self):
        self.info.blocklookup, self.info.loggingstream = {}, None
        return self

    def getFunctionParams(self):
        self.info.loggingstream = self.info.loggingstream or sys.stdout
        params = self.info, self.inputs, BlockAssociations()
        return params if self.otherargs is None else (*params, self.otherargs)

    def getFunctionResult(self, params):
        return params[2]


def apply(userFunction, infiles, outfiles, otherArgs=None, controls=None):
    images = {
        name: [Dataset(one) for one in path] if isinstance(path, list) else Dataset(path)
        for name, path in vars(infiles).items()
    }
    _, height, width = images["img"].array.shape
    columns, rows = controls.window
    total = -(-width // columns), -(-height // rows)
    jobs = []
    for row in range(total[1]):
        for column in range(total[0]):
            place = np.s_[
                :, row * rows : (row + 1) * rows, column * columns : (column + 1) * columns
            ]
            info, inputs = ReaderInfo(column, row, total), BlockAssociations()
            for name, image in images.items():
                several = isinstance(image, list)
                blocks = [info.read(one, place) for one in (image if several else [image])]
                setattr(inputs, name, blocks if several else blocks[0])
            jobs.append((place, RIOSJobInfo(info, inputs, otherArgs)))
    written = {}
    manager = jobmanager.getJobMgrObject(controls) if controls.numThreads > 1 else None
    for begin in range(0, len(jobs), controls.numThreads):
        turn = jobs[begin : begin + controls.numThreads]
        if manager is None:
            outputs = [_compute(userFunction, job) for _, job in turn]
        else:
            outputs = manager.runSubJobs(userFunction, [copy.copy(job) for _, job in turn])
        for (place, _), block in zip(turn, outputs, strict=True):
            for name in vars(outfiles):
                array = getattr(block, name)
                whole = written.setdefault(name, np.zeros((len(array), height, width), array.dtype))
                whole[place] = array
    if manager is not None:
        manager.finalise()
    for name, path in vars(outfiles).items():
        with Path(path).open("wb") as file:
            np.save(file, written[name])


def _compute(function, job):
    params = job.getFunctionParams()
    function(*params)
    return job.getFunctionResult(params)
