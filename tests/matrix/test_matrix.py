"""A main and workers with other versions of numpy and cloudpickle.

`MATRIX_WORKERS` names the interpreters of the workers' environments, as PATH names folders. Without
it, workers have this environment. `tools/matrix.py` makes environments and runs these tests.
"""

import contextlib
import os
import sys
import types
import warnings

import cloudpickle
import numpy as np
import pytest

from rios_plugin_awsbatch import AWSBatchJobManager, BatchExecutor
from rios_plugin_awsbatch.hosts.rios2_otherargs import split
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run.leases import close_all
from tests.hosts.support.jobs import JobInfo
from tests.matrix import kinds
from tests.support.helpers import UNKIND

# Workers have their own environment, which has no tests.
cloudpickle.register_pickle_by_value(kinds)
cloudpickle.register_pickle_by_value(sys.modules[__name__])

WORKERS = os.environ.get("MATRIX_WORKERS", sys.executable).split(os.pathsep)
PATIENCE = 120
HAS_STRINGS = hasattr(getattr(np, "dtypes", None), "StringDType")


class OtherArgs:
    """The otherArgs of a script, as RIOS makes them."""


def _strings():
    """Return a value that only numpy 2 has."""
    return np.array(["a", "long" * 20], np.dtypes.StringDType())


@pytest.fixture(scope="module", params=WORKERS)
def aws(request):
    """An embedded AWS whose workers have another environment."""
    with LocalAWS(workers=1, worker_python=request.param, unkind=UNKIND) as aws, aws.activated():
        os.environ["RIOS_AWSBATCH_STARTUP_TIMEOUT"] = str(PATIENCE)
        yield aws
        close_all()


@pytest.fixture(scope="module")
def executor(aws):  # noqa: ARG001 - the executor uses it
    with BatchExecutor(1) as executor:
        yield executor


@contextlib.contextmanager
def _no_warnings():
    """Have warnings raised as errors, in the threads that unpickle too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _seen_there(value):
    with _no_warnings():
        return kinds.look(value)


def _made_there(name):
    return kinds.look(kinds.make(name)), kinds.make(name)


def test_workers_have_the_environment_that_was_asked_for(executor):
    """`LocalAWS(worker_python=...)` runs the programs beside that interpreter."""
    there = executor.submit(lambda: sys.prefix).result(PATIENCE)
    assert os.path.dirname(os.path.dirname(_worker(executor))) == there  # noqa: PTH120 - no links


def _worker(executor):
    return executor.submit(lambda: sys.executable).result(PATIENCE)


def test_values_of_every_kind_arrive_in_workers(executor):
    """Values, dtypes, orders and writeability are main's, whatever numpy the worker has."""
    futures = {
        name: (kinds.look(kinds.make(name)), executor.submit(_seen_there, kinds.make(name)))
        for name in kinds.KINDS
    }
    different = {}
    for name, (here, future) in futures.items():
        if future.result(PATIENCE) != here:
            different[name] = here, future.result()
    assert different == {}


def test_values_of_every_kind_come_back(executor):
    """What a worker has made is in main what it was in the worker, and nothing is warned of."""
    different = {}
    with _no_warnings():
        futures = {name: executor.submit(_made_there, name) for name in kinds.KINDS}
        for name, future in futures.items():
            there, value = future.result(PATIENCE)
            if kinds.look(value) != there:
                different[name] = there, kinds.look(value)
    assert different == {}


def test_values_that_functions_carry_arrive(executor):
    """Arrays in globals, defaults and closures travel in the same way."""
    held = kinds.make("structured")

    def function(value, default=kinds.make("masked")):  # noqa: B008 - it is to be a default
        return kinds.look([value, default, held, TABLE])

    expected = kinds.look([held, kinds.make("masked"), held, TABLE])
    assert executor.submit(function, held).result(PATIENCE) == expected


TABLE = np.arange(256, dtype=">u2")[::2]


def test_blocks_of_rios_1_arrive(aws):  # noqa: ARG001 - the manager uses it
    """The job manager's blocks are arrays like any others, in both directions."""

    def double(_info, inputs, outputs, otherargs):
        outputs.image = inputs.image * 2
        outputs.seen = kinds.look(otherargs.values)

    every = map(kinds.make, kinds.KINDS)
    values = [value for value in every if kinds.look(value) == kinds.look(value)]  # not generators
    manager = AWSBatchJobManager(2)
    jobs = [JobInfo(number, types.SimpleNamespace(values=values)) for number in range(4)]
    results = manager.runSubJobs(double, jobs)
    manager.finalise()
    for number, result in enumerate(results):
        assert (result.image == np.full((4, 5), 2 * number)).all()
        assert result.seen == kinds.look(values)


def test_otherargs_of_rios_2_arrive_and_stay_in_workers(executor):
    """What a task does not change is found unchanged, although two versions pickle differently."""
    given = OtherArgs()
    given.sums = np.zeros(3)
    for number, name in enumerate(kinds.KINDS):
        setattr(given, f"kind{number}", kinds.make(name))

    def changed_by_a_task(parts):
        from rios_plugin_awsbatch.hosts.rios2_otherargs_remote import (  # noqa: PLC0415 - there
            OtherArgsKeeper,
        )

        def compute(other):
            other.sums += 1
            return [kinds.look([other.kind0, other.kind5])], {}

        keeper = OtherArgsKeeper(parts, KeyError)
        computed = keeper.run(compute, first_attempt=True)
        return *computed.outputs, list(computed.changed)

    seen, changed = executor.submit(changed_by_a_task, split(given)).result(PATIENCE)
    assert changed == [("sums",)]
    assert seen == kinds.look([given.kind0, given.kind5])


def test_what_the_worker_lacks_is_one_sentence(executor):
    """A StringDType for a worker with numpy 1 is an error with both versions."""
    if not HAS_STRINGS:
        pytest.skip("main's numpy has nothing that another one lacks")
    there = executor.submit(lambda: np.__version__).result(PATIENCE)
    future = executor.submit(len, _strings())
    if there.startswith("1."):
        with pytest.raises((AttributeError, ImportError), match=r"^len cannot be unp") as caught:
            future.result(PATIENCE)
        assert f"the worker's numpy {there} has no `numpy." in str(caught.value)
        assert f"main has numpy {np.__version__}." in str(caught.value)
    else:
        assert future.result(PATIENCE) == len(_strings())


def test_what_main_lacks_is_one_sentence(executor):
    """A StringDType for a main with numpy 1 is an error with both versions."""
    there = executor.submit(lambda: np.__version__).result(PATIENCE)
    if there.startswith("1."):
        pytest.skip("the worker's numpy has nothing that another one lacks")
    future = executor.submit(_strings)
    if HAS_STRINGS:
        assert future.result(PATIENCE).tolist() == _strings().tolist()
    else:
        with pytest.raises((AttributeError, ImportError), match=r"^The result of ") as caught:
            future.result(PATIENCE)
        assert f"main's numpy {np.__version__} has no `numpy." in str(caught.value)
        assert f"the worker has numpy {there}." in str(caught.value)
