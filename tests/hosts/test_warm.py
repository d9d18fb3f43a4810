"""How long workers stay warm: for the next user in time, but not while another job waits."""

import threading
import time
import types

import pytest

from rios_plugin_awsbatch import AWSBatchJobManager, BatchExecutor
from rios_plugin_awsbatch.run import leases
from rios_plugin_awsbatch.run.launch import QueueLoad
from rios_plugin_awsbatch.run.unused import Unused
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from tests.hosts.support.jobs import JobInfo, double
from tests.support.helpers import WORKERS, eventually

PATIENCE = 120


def use(workers):
    """Compute a round of blocks, and leave the workers warm."""
    manager = AWSBatchJobManager(workers + 1)
    outputs = manager.runSubJobs(double, [JobInfo(n) for n in range(workers + 1)])
    manager.finalise()
    assert [output.image[0, 0] for output in outputs] == [2 * n for n in range(workers + 1)]


def test_workers_end_after_the_warm_timeout(warm, monkeypatch):
    """A process that goes on without `apply` keeps nothing; the next `apply` has new workers."""
    monkeypatch.setenv("RIOS_AWSBATCH_WARM_TIMEOUT", "0.5")
    for _ in range(2):
        use(1)
        eventually(lambda: not warm.left(), lambda: f"left: {warm.left()}")
    assert not leases._live


def test_workers_stay_for_the_next_user(warm, monkeypatch):
    """The time without a user begins anew each time."""
    monkeypatch.setenv("RIOS_AWSBATCH_WARM_TIMEOUT", "600")
    use(1)
    queues = warm.run_queues()
    use(1)
    assert warm.run_queues() == queues != []


def test_no_worker_stays_with_a_warm_timeout_of_0(warm, monkeypatch):
    """The run has ended when the manager has."""
    monkeypatch.setenv("RIOS_AWSBATCH_WARM_TIMEOUT", "0")
    use(1)
    assert not warm.run_queues()


def test_warm_workers_are_given_up_when_another_job_waits(warm, monkeypatch):
    """All places are taken by workers without a user: another run gets them."""
    monkeypatch.setenv("RIOS_AWSBATCH_WARM_TIMEOUT", "600")
    use(WORKERS)
    with BatchExecutor(1, compression="zlib") as executor:  # other settings: another run
        assert executor.submit(abs, -1).result(PATIENCE) == 1
    eventually(lambda: not leases._live, "the warm workers have not been given up")


@pytest.mark.parametrize(
    ("waiting", "taken", "wanted"),
    [
        ({"mine", "other"}, WORKERS, True),
        ({"mine", "other"}, WORKERS - 1, False),
        ({"mine"}, WORKERS, False),
        (set(), WORKERS, False),
    ],
)
def test_a_job_that_only_waits_for_its_machine_takes_no_workers(
    waiting, taken, wanted, monkeypatch
):
    """On AWS every new job does so for a minute or two; places are wanted when none is free."""
    load = QueueLoad(frozenset(waiting), taken)
    monkeypatch.setattr("rios_plugin_awsbatch.run.unused.load_of_queue", lambda *_: load)
    monkeypatch.setattr("rios_plugin_awsbatch.run.unused.QUEUE_SECONDS", -1.0)
    stack = StackOutputs("RIOS", "eu-west-1", job_queue="q", max_jobs=WORKERS)
    workforce = types.SimpleNamespace(jobs=[types.SimpleNamespace(job_id="mine")])
    unused = Unused("run", None, stack, workforce)
    given_up = []
    unused.begin(600, lambda: given_up.append(True))
    unused.look()
    assert bool(given_up) is wanted


def test_a_run_in_use_is_not_given_up(warm, monkeypatch):
    """However long its user does not submit anything."""
    monkeypatch.setenv("RIOS_AWSBATCH_WARM_TIMEOUT", "0.2")
    with BatchExecutor(1) as executor:
        assert executor.submit(abs, -1).result(PATIENCE) == 1
        use(1)
        time.sleep(1)
        assert executor.submit(abs, -2).result(PATIENCE) == 2


def test_the_end_of_the_process_waits_for_a_run_that_is_ending(warm, monkeypatch):
    """Another thread has begun to end it; when `close_all` returns, it has ended."""
    monkeypatch.setenv("RIOS_AWSBATCH_WARM_TIMEOUT", "600")
    use(1)
    ((_, live),) = leases._live.items()
    begun = threading.Event()
    run = live.run.result()
    close = run._close
    monkeypatch.setattr(run, "_close", lambda: (begun.set(), close()))
    thread = threading.Thread(target=leases._end_unused, args=(live, run))
    thread.start()
    assert begun.wait(PATIENCE)
    leases.close_all()
    assert not warm.run_queues()
    thread.join()
