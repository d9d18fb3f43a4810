"""What the scenarios compute: blocks like those of RIOS 1.4, and functions that sleep.

Functions are pickled by value, like those of a user's script.
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
    """Same as RIOS 1.4's `RIOSJobInfo`, for the job manager."""

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
    """Take a moment, so that all workers get blocks."""
    time.sleep(0.1)
    outputs.worker = os.getpid()
    outputs.type = type(otherargs).__name__


def nap(seconds):
    """Sleep; return the worker's process id, and when it began."""
    begun = time.time()
    time.sleep(seconds)
    return os.getpid(), begun


def mean(block):
    """Return a small result."""
    return float(block[::64].mean())


def in_rounds(manager, function, jobs, threads):
    """Compute jobs as RIOS 1.4 does: `threads` at once, the next when all of them are done.

    Yields:
        The outputs, in order.
    """
    jobs = iter(jobs)
    while wave := list(itertools.islice(jobs, threads)):
        yield from manager.runSubJobs(function, wave)
