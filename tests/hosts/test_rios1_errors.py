"""What goes wrong in a round of RIOS 1.4's blocks."""

import sys
import threading

import pytest

from rios_plugin_awsbatch import AWSBatchException, AWSBatchJobManager
from rios_plugin_awsbatch.errors import PicklingError, RemoteError, SettingsError
from tests.hosts.support.jobs import JobInfo, ListInfo, blocks, double, fail_in_third
from tests.support import calls

PATIENCE = 120


def test_an_exception_in_a_worker_is_raised_in_main(manager):
    """With its type, attributes and the worker's traceback, which names the user's function."""
    with pytest.raises(calls.UserError) as caught:
        manager.runSubJobs(fail_in_third, blocks(5))
    assert caught.value.code == 3
    assert "in fail_in_third" in str(caught.value.__cause__)
    assert [output.place[0] for output in manager.runSubJobs(double, blocks(3))] == [0, 1, 2]


def test_an_exception_in_main_cancels_the_others(manager, tmp_path):
    """If the first block fails, which main computes, the others are not waited for."""

    def fail_in_first(info, _inputs, _outputs):
        if info.xblock == 0:
            raise calls.UserError("in the first", 0)
        calls.await_file(go)

    with calls.let_go(tmp_path / "go") as path:
        go = str(path)
        with pytest.raises(calls.UserError):
            manager.runSubJobs(fail_in_first, blocks(3))


def test_one_failure_is_enough(manager, tmp_path):
    """It is raised at once, and nobody waits for the blocks that are still being computed."""

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
        assert jobs[1].done()


def test_a_result_that_is_not_there_is_the_blocks_error(manager):
    """getFunctionResult fails if the function has not set its output, as without a job manager."""

    def forget(_info, _inputs, outputs):
        if _info.xblock == 0:
            outputs.image = None

    with pytest.raises(AttributeError, match="image") as caught:
        manager.runSubJobs(forget, [ListInfo(0), ListInfo(1)])
    assert "getFunctionResult" in str(caught.value.__cause__)


def test_an_output_that_cannot_be_pickled_is_named_with_its_block(manager):
    """The error names the block."""

    def give_a_lock(_info, _inputs, outputs):
        outputs.image = threading.Lock()

    with pytest.raises(PicklingError, match=r"block 1,7 cannot be pickled.*lock"):
        manager.runSubJobs(give_a_lock, blocks(2))


def test_a_function_that_takes_other_arguments_is_told(manager):
    """A function without a parameter for the script's otherargs fails as without a job manager."""
    with pytest.raises(TypeError, match="double"):
        manager.runSubJobs(double, [JobInfo(1, otherargs=1), JobInfo(2, otherargs=1)])
    with pytest.raises(TypeError, match="double"):
        manager.startOneJob(double, JobInfo(2, otherargs=1)).result(PATIENCE)


def test_what_cannot_be_pickled_is_named(manager):
    """The function by its name, inputs and otherargs by their block."""
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
    """SystemExit in a worker does not end the script silently."""

    def leave(info, _inputs, _outputs):
        if info.xblock:
            sys.exit("enough")

    with pytest.raises(RemoteError, match="SystemExit: enough"):
        manager.runSubJobs(leave, blocks(2))


@pytest.mark.parametrize("number", [1, 0, -1, "4", True, 2.5, None])
def test_a_wrong_number_of_threads_is_one_clear_error(number):
    """It has the value, RIOS's name for it, and what it may be."""
    with pytest.raises(
        ValueError, match=rf"^numThreads is {number!r}; .*whole number of at least 2"
    ) as caught:
        AWSBatchJobManager(number)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_is_one_clear_error(monkeypatch):
    """The error comes when RIOS makes the manager, before any block is read."""
    monkeypatch.setenv("RIOS_AWSBATCH_MAX_ATTEMPTS", "many")
    with pytest.raises(SettingsError, match="RIOS_AWSBATCH_MAX_ATTEMPTS='many'"):
        AWSBatchJobManager(2)


def test_an_error_before_the_first_block_is_the_packages(monkeypatch, warm, owner):
    """If there is no such stack, the first round raises AWSBatchException; nothing is left."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    with pytest.raises(AWSBatchException, match="There is no stack Nowhere"):
        AWSBatchJobManager(2).runSubJobs(double, blocks(2))
    assert not warm.left()
