"""Job infos as RIOS 1.4's applier makes them, and functions of users for them."""

import os
import sys
import threading
import types

import cloudpickle
import numpy as np

from tests.support import calls


class Outputs:
    """RIOS's BlockAssociations: what the user's function hangs its outputs on."""


class JobInfo:
    """A job info like those of RIOS's applier: info, inputs, and otherargs if there are any."""

    def __init__(self, number, otherargs=None, inputs=None):
        self.info = types.SimpleNamespace(xblock=number, yblock=7, loggingstream=threading.Lock())
        self.inputs = types.SimpleNamespace(
            image=np.full((4, 5), number) if inputs is None else inputs
        )
        self.otherargs = otherargs

    def prepareForPickling(self):
        self.info.loggingstream = None  # as RIOS drops what cannot be pickled
        return self

    def getFunctionParams(self):
        params = (self.info, self.inputs, Outputs())
        return params if self.otherargs is None else (*params, self.otherargs)

    def getFunctionResult(self, params):
        return params[2]


class ListInfo(JobInfo):
    """A job info that has no result unless the function has set its output."""

    def getFunctionResult(self, params):
        return params[2].image


class UnpreparedInfo(JobInfo):
    """A job info that cannot be prepared for pickling."""

    def prepareForPickling(self):
        raise OSError("no such dataset")


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def double(info, inputs, outputs):
    outputs.image = inputs.image * 2
    outputs.place = (info.xblock, info.yblock)
    outputs.pid = os.getpid()


def accumulate(_info, inputs, outputs, otherargs):
    otherargs.total += inputs.image.sum()
    otherargs.table += 1
    outputs.total, outputs.table = otherargs.total, otherargs.table.sum()


def fail_in_third(info, inputs, outputs):
    outputs.image = inputs.image / 2
    if info.xblock == 3:
        raise calls.UserError("in the third", 3)


def blocks(count, **more):
    return [JobInfo(number, **more) for number in range(count)]
