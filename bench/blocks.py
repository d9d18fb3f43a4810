"""What the scenarios compute: blocks as RIOS 1.4 hands them to a job manager, and functions that sleep.

Functions travel by value, as those of a user's script do.
"""

import itertools
import os
import sys
import time
import types

import cloudpickle
import numpy as np

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class JobInfo:
    """A double of RIOS 1.4's `RIOSJobInfo`."""

    def __init__(self, number, inputs, otherargs=None):
        self.info = types.SimpleNamespace(
            xblock=number, yblock=0, blocklookup={"a dataset": "of GDAL"}
        )
        self.inputs = inputs
        self.otherargs = otherargs

    def prepareForPickling(self):
        self.info.blocklookup = {}
        return self

    def getFunctionParams(self):
        params = (self.info, self.inputs, types.SimpleNamespace())
        return params if self.otherargs is None else (*params, self.otherargs)

    def getFunctionResult(self, params):
        return params[2]


def scene_block(number, size, otherargs=None):
    """Return the job info of a block of four bands."""
    pixels = np.random.default_rng(number).integers(1, 10_000, (4, size, size), dtype=np.uint16)
    return JobInfo(number, types.SimpleNamespace(scene=pixels), otherargs)


def ndvi(info, inputs, outputs, otherargs):  # noqa: ARG001 - RIOS's signature
    """NDVI, after `otherargs.seconds`."""
    time.sleep(otherargs.seconds)
    red, infrared = inputs.scene[2:].astype(np.float32)
    outputs.ndvi = ((infrared - red) / (infrared + red))[np.newaxis]
    outputs.worker = os.getpid()


def use_otherargs(info, inputs, outputs, otherargs):  # noqa: ARG001 - RIOS's signature
    """Take a moment, so that every worker gets blocks."""
    time.sleep(0.1)
    outputs.worker = os.getpid()
    outputs.type = type(otherargs).__name__


def nap(seconds):
    """Sleep; return which worker, and when it began."""
    begun = time.time()
    time.sleep(seconds)
    return os.getpid(), begun


def mean(block):
    """A result that takes no memory."""
    return float(block[::64].mean())


def in_rounds(manager, function, jobs, threads):
    """Compute `jobs` as RIOS 1.4 does: so many at once, and the next when all are done; yield the outputs."""
    jobs = iter(jobs)
    while wave := list(itertools.islice(jobs, threads)):
        yield from manager.runSubJobs(function, wave)
