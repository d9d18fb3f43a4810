"""The end of a run leaves nothing, and what cannot be deleted is found again."""

import sys
import threading

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.hooks import hookimpl, register, unregister
from rios_plugin_awsbatch.run.sweep import sweep
from rios_plugin_awsbatch.run.threads import RequestThreads
from tests.support.helpers import eventually


class Leaver:
    """A plugin that wants to end the process with every task."""

    @hookimpl
    def rios_awsbatch_task_done(self, record):
        sys.exit(f"{record.name} is done")


@pytest.fixture
def leaver():
    plugin = Leaver()
    register(plugin)
    yield
    unregister(plugin)


@pytest.mark.usefixtures("cloud", "leaver")
def test_a_hook_or_a_callback_that_leaves_ends_no_thread_of_the_run():
    """Whatever they raise, all results arrive, more than there are threads to handle them."""
    with BatchExecutor(1) as executor:
        futures = [executor.submit(abs, -number) for number in range(12)]
        for future in futures:
            future.add_done_callback(lambda _: sys.exit("done"))
        assert [future.result(60) for future in futures] == list(range(12))


@pytest.mark.usefixtures("cloud")
def test_a_run_leaves_no_thread():
    """Notebooks and services start one run after another."""

    def of_runs():
        names = ("handler", "upload", "sender", "watcher", "sweeper")
        return [thread.name for thread in threading.enumerate() if thread.name in names]

    with BatchExecutor(1) as executor:
        assert executor.submit(abs, -1).result(60) == 1
    eventually(lambda: not of_runs(), of_runs)


def test_a_queue_that_cannot_be_deleted_is_swept_later(cloud):
    """The inventory names it, and stays as long as the queue does."""
    executor = BatchExecutor(1)
    assert executor.submit(abs, -1).result(60) == 1
    run = executor._lease.result().run
    resources = run._resources
    (what, delete), *others = resources._undo

    def refuse():
        raise OSError("not today")

    resources._undo = [(what, refuse), *others]
    executor.shutdown()
    assert cloud.objects() == [f"runs/{run.run_id}/run.json"]
    assert sweep(Clients("ap-southeast-2"), cloud.bucket, stale_seconds=0) == [run.run_id]
    assert not cloud.objects()
    assert not cloud.run_queues()
    assert delete  # it was there to be called


def test_calls_are_made_where_no_thread_can_be_started(monkeypatch):
    """Python 3.12.1 starts no threads while it ends, and the end of a run needs its calls."""

    def refuse(_thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    made = []
    RequestThreads("call", 2).call(lambda: made.append(threading.current_thread()))
    assert made == [threading.main_thread()]
