"""The job manager's contract with RIOS 1.4: what `rios.applier` calls, and what it gets."""

import importlib.metadata
import os
import subprocess
import sys
import textwrap
import threading
import time
import types

import cloudpickle
import numpy as np
import pytest

from rios_plugin_awsbatch import AWSBatchException, AWSBatchJobManager
from rios_plugin_awsbatch.errors import PicklingError, RemoteError, SettingsError
from rios_plugin_awsbatch.hosts.registry import load_plugins
from rios_plugin_awsbatch.hosts.rios1_choice import LEARNING_ROUNDS
from tests.support import calls
from tests.support.helpers import eventually

PATIENCE = 120


class Outputs:
    """RIOS's BlockAssociations: what the user's function hangs its outputs on."""


class JobInfo:
    """A job info as RIOS's applier makes them: info, inputs, and otherargs if the script gave any."""

    def __init__(self, number, otherargs=None, inputs=None):
        self.info = types.SimpleNamespace(xblock=number, yblock=7, loggingstream=threading.Lock())
        self.inputs = types.SimpleNamespace(
            image=np.full((4, 5), number) if inputs is None else inputs
        )
        self.otherargs = otherargs

    def prepareForPickling(self):
        self.info.loggingstream = None  # RIOS: GDAL's and the system's objects stay at home
        return self

    def getFunctionParams(self):
        params = (self.info, self.inputs, Outputs())
        return params if self.otherargs is None else (*params, self.otherargs)

    def getFunctionResult(self, params):
        return params[2]


class ListInfo(JobInfo):
    """A job info whose result is not there unless the function did what it should."""

    def getFunctionResult(self, params):
        return params[2].image


class UnpreparedInfo(JobInfo):
    """A job info that cannot be made ready for its way."""

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


@pytest.fixture
def manager(warm):
    manager = AWSBatchJobManager(3)
    yield manager
    manager.finalise()


def blocks(count, **more):
    return [JobInfo(number, **more) for number in range(count)]


def test_a_round_of_blocks_comes_back_in_order(manager):
    """One output for each job info, in their order, whoever computed it."""
    for _ in range(3):
        outputs = manager.runSubJobs(double, blocks(6))
        assert [output.place for output in outputs] == [(number, 7) for number in range(6)]
        assert all((output.image == 2 * number).all() for number, output in enumerate(outputs))


def test_the_first_block_is_computed_by_main(manager):
    """As in every manager of RIOS: main does not sit idle, and the others are computed elsewhere."""
    outputs = manager.runSubJobs(double, blocks(4))
    assert outputs[0].pid == os.getpid()
    assert os.getpid() not in {output.pid for output in outputs[1:]}


def test_the_steps_of_a_round_can_be_taken_one_by_one(manager):
    """startAllJobs, waitOnJobs and gatherAllOutputs are what runSubJobs does; the first in the list is a result."""
    jobs = manager.startAllJobs(double, blocks(4))
    assert isinstance(jobs[0], Outputs)
    assert len(jobs) == 4
    manager.waitOnJobs(jobs)
    assert [output.place[0] for output in manager.gatherAllOutputs(jobs)] == [0, 1, 2, 3]


def test_a_job_can_be_started_by_itself(manager):
    """Scripts that call startOneJob gather behind a first result of their own, as in RIOS."""
    jobs = [None, *(manager.startOneJob(double, info) for info in blocks(3))]
    manager.waitOnJobs(jobs)
    first, *outputs = manager.gatherAllOutputs(jobs)
    assert first is None
    assert [output.place[0] for output in outputs] == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_a_round_without_work_for_others_starts_no_workers(manager, cloud, count):
    """The last round of an image may have one block only, or none."""
    outputs = manager.runSubJobs(double, blocks(count))
    assert [output.pid for output in outputs] == [os.getpid()] * count
    assert not cloud.left()


def test_a_round_may_be_larger_than_the_number_of_workers(manager):
    """Blocks wait for their turn."""
    assert [output.place[0] for output in manager.runSubJobs(double, blocks(40))] == list(range(40))


def test_each_block_of_the_workers_has_fresh_otherargs(manager):
    """A worker that has computed a block before starts from the script's otherargs again, not from its last ones."""
    given = types.SimpleNamespace(total=0, table=np.zeros(50_000))
    for _ in range(2):
        outputs = manager.runSubJobs(accumulate, blocks(8, otherargs=given))
        main, *others = outputs
        assert [output.total for output in others] == [20 * number for number in range(1, 8)]
        assert {output.table for output in others} == {given.table.size}
        assert (
            main.table == given.table.sum()
        )  # the first block changes the script's own, as without a manager
        given.table[:] = given.total = 0


def test_otherargs_are_taken_as_they_are_when_the_block_is_sent(manager):
    """A script that changes its otherargs between two rounds sees the change in the second."""
    given = types.SimpleNamespace(total=0, table=np.zeros(3))
    manager.runSubJobs(accumulate, blocks(2, otherargs=given))
    given.total = 1000
    assert manager.runSubJobs(accumulate, blocks(2, otherargs=given))[1].total == 1020


def test_otherargs_cross_once(manager, cloud):
    """A large table in otherargs is one object of the run, not one for each block."""
    given = types.SimpleNamespace(total=0, table=np.random.default_rng(0).random(200_000))

    def look(_info, inputs, outputs, otherargs):
        outputs.total = otherargs.table.sum() + inputs.image[0, 0]

    for _ in range(2):
        outputs = manager.runSubJobs(look, blocks(6, otherargs=given))
    assert [output.total for output in outputs] == [
        given.table.sum() + number for number in range(6)
    ]
    assert len([key for key in cloud.objects() if "/shared/" in key]) == 1
    assert manager.statistics().bytes_sent < 2 * given.table.nbytes


def test_inputs_can_be_changed_in_place(manager):
    """A function that works in place does so in workers as in main."""

    def negate(_info, inputs, outputs):
        inputs.image *= -1
        outputs.image = inputs.image

    outputs = manager.runSubJobs(negate, blocks(4))
    assert [output.image[0, 0] for output in outputs] == [0, -1, -2, -3]


@pytest.mark.parametrize("side", [10, 400, 1500])
def test_blocks_of_any_size_travel(manager, side):
    """Small ones in the message, large ones through the bucket."""
    image = np.random.default_rng(1).integers(0, 30_000, (side, side), dtype=np.int16)
    outputs = manager.runSubJobs(double, blocks(3, inputs=image))
    assert all(np.array_equal(output.image, image * 2) for output in outputs)


def test_what_rios_makes_ready_is_what_travels(manager):
    """A job info holds what cannot be pickled until prepareForPickling has been called."""
    assert manager.runSubJobs(double, blocks(2))[1].place == (1, 7)
    with pytest.raises(OSError, match="no such dataset"):
        manager.runSubJobs(double, [JobInfo(0), UnpreparedInfo(1)])


def test_blocks_quicker_than_their_transport_are_computed_by_main(manager):
    """When enough rounds have shown it; each block still has otherargs of its own, as in a worker."""
    for _ in range(LEARNING_ROUNDS):
        outputs = manager.runSubJobs(double, blocks(3))
        assert os.getpid() not in {output.pid for output in outputs[1:]}
    rounds = [
        manager.runSubJobs(double, blocks(3)) for _ in range(10)
    ]  # a busy machine may make one look slow
    assert all(
        [output.place for output in outputs] == [(number, 7) for number in range(3)]
        for outputs in rounds
    )
    assert {os.getpid()} in [{output.pid for output in outputs} for outputs in rounds]

    given = types.SimpleNamespace(total=0, table=np.zeros(3))
    outputs = manager.runSubJobs(accumulate, blocks(3, otherargs=given))
    assert [output.total for output in outputs] == [0, 20, 40]
    assert [output.table for output in outputs] == [given.table.size] * 3, (
        "none sees what another one has changed"
    )
    assert given.table.tolist() == [1, 1, 1], (
        "main's own block changes the script's, as without a manager"
    )


def test_blocks_that_take_longer_again_are_sent_again(manager):
    """Main computes one that is not quick any more, and the rest of its round goes to the workers."""

    def double_slowly(info, inputs, outputs):
        time.sleep(2.0)
        double(info, inputs, outputs)

    for _ in range(LEARNING_ROUNDS + 1):
        manager.runSubJobs(double, blocks(3))
    outputs = manager.runSubJobs(double_slowly, blocks(3))
    assert [output.place for output in outputs] == [(number, 7) for number in range(3)]
    assert outputs[2].pid != os.getpid()


def test_quick_blocks_can_be_left_to_the_workers(warm, monkeypatch):
    """By a setting, for a main that has less memory, or lacks what the function needs."""
    monkeypatch.setenv("RIOS_AWSBATCH_QUICK_BLOCKS", "workers")
    manager = AWSBatchJobManager(2)
    rounds = [manager.runSubJobs(double, blocks(2)) for _ in range(LEARNING_ROUNDS + 5)]
    assert os.getpid() not in {output.pid for _, output in rounds}
    manager.finalise()


# Errors


def test_an_exception_in_a_worker_is_raised_in_main(manager):
    """Type, attributes and the worker's traceback, which names the user's function and line."""
    with pytest.raises(calls.UserError) as caught:
        manager.runSubJobs(fail_in_third, blocks(5))
    assert caught.value.code == 3
    assert "in fail_in_third" in str(caught.value.__cause__)
    assert [output.place[0] for output in manager.runSubJobs(double, blocks(3))] == [0, 1, 2]


def test_an_exception_in_main_cancels_the_others(manager, tmp_path):
    """When the first block fails, which main computes, nobody waits for the others."""

    def fail_in_first(info, _inputs, _outputs):
        if info.xblock == 0:
            raise calls.UserError("in the first", 0)
        calls.await_file(go)

    with calls.let_go(tmp_path / "go") as path:
        go = str(path)
        with pytest.raises(calls.UserError):
            manager.runSubJobs(fail_in_first, blocks(3))


def test_one_failure_is_enough(manager, tmp_path):
    """A block that failed is raised at once, while others are still being computed, which are cancelled."""

    def fail_or_wait(info, _inputs, _outputs):
        if info.xblock == 2:
            raise calls.UserError("in the second", 2)
        if info.xblock:
            calls.await_file(go)

    with calls.let_go(tmp_path / "go") as path:
        go = str(path)
        jobs = manager.startAllJobs(fail_or_wait, blocks(3))
        manager.waitOnJobs(jobs)
        assert not jobs[1].done()
        with pytest.raises(calls.UserError):
            manager.gatherAllOutputs(jobs)
        assert jobs[1].cancelled()


def test_a_result_that_is_not_there_is_the_blocks_error(manager):
    """When getFunctionResult fails, because the function did not set its output, that is told as it is at home."""

    def forget(_info, _inputs, outputs):
        if _info.xblock == 0:
            outputs.image = None

    with pytest.raises(AttributeError, match="image") as caught:
        manager.runSubJobs(forget, [ListInfo(0), ListInfo(1)])
    assert "getFunctionResult" in str(caught.value.__cause__)


def test_an_output_that_cannot_be_pickled_is_named_with_its_block(manager):
    """A function that returns the wrong thing: the error names the block."""

    def give_a_lock(_info, _inputs, outputs):
        outputs.image = threading.Lock()

    with pytest.raises(PicklingError, match=r"block 1,7 cannot be pickled.*lock"):
        manager.runSubJobs(give_a_lock, blocks(2))


def test_a_function_that_takes_other_arguments_is_told(manager):
    """A function without otherargs, where the script gives some, fails as it does at home."""
    with pytest.raises(TypeError, match="double"):
        manager.runSubJobs(double, [JobInfo(1, otherargs=1), JobInfo(2, otherargs=1)])
    with pytest.raises(TypeError, match="double"):
        manager.startOneJob(double, JobInfo(2, otherargs=1)).result(PATIENCE)


def test_what_cannot_be_pickled_is_named(manager):
    """The function by its name, the inputs and the otherargs by their block."""
    lock = threading.Lock()

    def guarded(_info, _inputs, _outputs):
        with lock:
            pass

    with pytest.raises(PicklingError, match=r"Function .*guarded cannot be pickled: .*lock"):
        manager.startOneJob(guarded, JobInfo(1))
    with pytest.raises(PicklingError, match=r"argument of block 1,7 cannot be pickled: .*lock"):
        manager.startOneJob(double, JobInfo(1, inputs=lock))
    with pytest.raises(
        PicklingError, match=r"shared arguments of block 1,7 cannot be pickled: .*lock"
    ):
        manager.startOneJob(double, JobInfo(1, otherargs=lock))


def test_a_function_that_ends_its_process_by_sys_exit_is_an_error(manager):
    """SystemExit in a worker does not end the script without a word."""

    def leave(info, _inputs, _outputs):
        if info.xblock:
            sys.exit("enough")

    with pytest.raises(RemoteError, match="SystemExit: enough"):
        manager.runSubJobs(leave, blocks(2))


@pytest.mark.parametrize("number", [1, 0, -1, "4", True, 2.5, None])
def test_a_wrong_number_of_threads_is_one_clear_error(number):
    """The sentence has the value, RIOS's name for it, and what it may be."""
    with pytest.raises(
        ValueError, match=rf"^numThreads is {number!r}; .*whole number of at least 2"
    ) as caught:
        AWSBatchJobManager(number)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_is_one_clear_error(monkeypatch):
    """The script learns of it when RIOS makes the manager, before any block is read."""
    monkeypatch.setenv("RIOS_AWSBATCH_MAX_ATTEMPTS", "many")
    with pytest.raises(SettingsError, match="RIOS_AWSBATCH_MAX_ATTEMPTS='many'"):
        AWSBatchJobManager(2)


# Beginning and end


def test_the_next_manager_finds_the_workers_warm(warm):
    """Two apply() in one script: the second one's blocks go to the run and the workers of the first."""
    queues, processes = [], []
    for _ in range(2):
        manager = AWSBatchJobManager(2)
        processes.append({output.pid for output in manager.runSubJobs(double, blocks(12))[1:]})
        manager.finalise()
        queues.append(warm.run_queues())
    assert processes[0] == processes[1]
    assert queues[0] == queues[1]
    assert len(queues[0]) == 2


def test_a_larger_manager_gets_more_workers(warm):
    """A second apply() with more threads has the workers that are missing started."""
    for threads, jobs in ((2, 1), (3, 2)):
        manager = AWSBatchJobManager(threads)
        assert len(manager.runSubJobs(double, blocks(4))) == 4
        eventually(lambda jobs=jobs: len(warm.unfinished_jobs()) == jobs)
        manager.finalise()


def test_finalise_may_be_called_twice_or_without_work(warm):
    """A script that applies nothing, or finalises in a finally, is none the worse for it."""
    manager = AWSBatchJobManager(2)
    manager.finalise()
    assert not warm.left()
    manager.runSubJobs(double, blocks(2))
    manager.finalise()
    manager.finalise()
    assert manager.statistics().tasks == 1
    assert manager.runSubJobs(double, blocks(2))[1].place == (1, 7)
    manager.finalise()


def test_the_manager_has_rioss_names(manager):
    """The attributes and methods that RIOS and scripts use."""
    assert AWSBatchJobManager.jobMgrType == "AWSBatch"
    assert manager.numSubJobs == 3
    manager.setTempdir("/somewhere")
    assert manager.tempdir == "/somewhere"
    for name in (
        "runSubJobs",
        "startAllJobs",
        "startOneJob",
        "waitOnJobs",
        "gatherAllOutputs",
        "finalise",
    ):
        assert callable(getattr(manager, name))


def test_the_entry_point_is_the_class():
    """The group rios.jobmanagers offers it as AWSBatch, for any host."""
    (point,) = importlib.metadata.entry_points(group="rios.jobmanagers", name="AWSBatch")
    assert point.load() is AWSBatchJobManager
    assert load_plugins()["AWSBatch"] is AWSBatchJobManager


def test_without_rios_the_manager_stands_on_its_own_base_class(tmp_path):
    """Where RIOS cannot be imported, or is a generation without job managers, the class is there all the same."""
    (tmp_path / "rios").mkdir()
    (tmp_path / "rios" / "__init__.py").write_text("")
    code = textwrap.dedent("""
        from rios_plugin_awsbatch import AWSBatchJobManager as m
        print(m.__mro__[1].__module__, m.jobMgrType, m(3).numSubJobs, m(3).tempdir)
    """)
    for path in ("", str(tmp_path)):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == "rios_plugin_awsbatch.hosts.rios1 AWSBatch 3 .\n"


def test_an_error_before_the_first_block_is_the_packages(monkeypatch, warm):
    """No such stack: the script gets one AWSBatchException from its first round, and nothing is left."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    with pytest.raises(AWSBatchException, match="There is no stack Nowhere"):
        AWSBatchJobManager(2).runSubJobs(double, blocks(2))
    assert not warm.left()
