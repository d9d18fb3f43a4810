"""Run the `run()` of a module with every `apply` of RIOS computed in one way.

    python -m tests.peers.support.driver REPORT HOW MODULE

HOW is one of

* serial: in one process, whatever the module asks for;
* workers: on two workers of AWS Batch. RIOS 2 leaves the main script's otherArgs alone if others
  compute, and returns the workers' copies. Programs that read their otherArgs get the copies' sums;
* unmerged: the same, but otherArgs stay as RIOS leaves them;
* own: by RIOS's own means to compute in parallel; otherArgs stay as RIOS leaves them.

What came of it is written to the file REPORT, as JSON. RIOS_SUITE names the folder of RIOS's test
programs if the installed RIOS has none.
"""

import collections
import contextlib
import copy
import importlib
import json
import os
import sys
import traceback
import types
from pathlib import Path

import cloudpickle
import numpy as np
import rios
from rios import applier

from rios_plugin_awsbatch.hooks import hookimpl, register
from rios_plugin_awsbatch.records import MAIN
from rios_plugin_awsbatch.run.leases import close_all
from tests.hosts.support import hosted

THREADS = 3  # RIOS 1.4's: two workers, and main


class Computed:
    """Counts the blocks that were computed on AWS Batch, by whether a worker did."""

    def __init__(self):
        self.blocks = collections.Counter()

    @hookimpl
    def rios_awsbatch_task_done(self, record):
        if record.outcome == "done":
            self.blocks[MAIN if record.worker == MAIN else "workers"] += record.blocks


class Driver:
    """Stands for RIOS's `apply`.

    Args:
        how: How to compute.
    """

    def __init__(self, how):
        self.how, self.calls = how, []  # of the user's function by main, for each apply
        self._apply, applier.apply = applier.apply, self.apply

    def apply(self, userFunction, infiles, outfiles, otherArgs=None, controls=None):
        controls = applier.ApplierControls() if controls is None else controls
        self._set(controls)
        self.calls.append(0)

        def counting(*given):
            self.calls[-1] += 1
            userFunction(*given)

        function = counting if self.how == "serial" else userFunction
        before = {} if otherArgs is None else {n: copy.copy(v) for n, v in vars(otherArgs).items()}
        returned = self._apply(function, infiles, outfiles, otherArgs, controls=controls)
        if self.how == "workers" and returned is not None:
            for one in returned.otherArgsList:
                merge(otherArgs, before, one)
        return returned

    def _set(self, controls):
        on_batch = self.how in ("workers", "unmerged")
        if hosted.generation() == 1:
            controls.setNumThreads(1 if self.how == "serial" else THREADS)
            controls.setJobManagerType("AWSBatch" if on_batch else "multiprocessing")
            return
        controls.numThreads = 1  # or RIOS 2.0 prefers what the program has asked for as in 1.4
        if on_batch:
            hosted.on_batch()(controls)
        elif self.how == "serial":
            controls.setConcurrencyStyle(applier.ConcurrencyStyle())
        else:
            threads = applier.ConcurrencyStyle(
                numReadWorkers=1, numComputeWorkers=2, computeWorkerKind=applier.CW_THREADS
            )
            controls.setConcurrencyStyle(threads)


def merge(other, before, copied):
    """Take over into main's otherArgs what a worker's copy has in addition to what it was given."""
    for name, value in vars(copied).items():
        old = before.get(name)
        if isinstance(old, list):
            getattr(other, name).extend(value[len(old) :])
        elif _is_number(old) and _is_number(value):
            setattr(other, name, getattr(other, name) + (value - old))
        elif name not in before or not np.array_equal(value, old):
            setattr(other, name, value)


def _is_number(value):
    return isinstance(value, int | float | np.number | np.ndarray) and not isinstance(value, bool)


def outcome(module):
    """Return what the module's `run` returned, or which exception it raised."""
    try:
        return repr(import_program(module).run())
    except Exception as error:  # noqa: BLE001 - whichever the program raises
        traceback.print_exc()
        return type(error).__name__


def import_program(module):
    """Import it; RIOS's programs come from RIOS_SUITE if that is set, and travel by value."""
    if "RIOS_SUITE" in os.environ:
        rios.riostests = sys.modules["rios.riostests"] = types.ModuleType("rios.riostests")
        rios.riostests.__path__ = [os.environ["RIOS_SUITE"]]
        cloudpickle.register_pickle_by_value(rios.riostests)
    return importlib.import_module(module)


def main(report, how, module):
    driver, computed = Driver(how), Computed()
    register(computed)
    with contextlib.redirect_stdout(sys.stderr):
        found = outcome(module)
    close_all()  # the last task may be told just after `apply` has returned
    result = {"outcome": found, "calls": driver.calls, "blocks": computed.blocks}
    Path(report).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
