"""What plugins are told by hooks, over real workers."""

import dataclasses
import os
import threading
import time

import pluggy
import pytest

from rios_plugin_awsbatch import AWSBatchJobManager, BatchExecutor
from rios_plugin_awsbatch.hooks import hookimpl, register, unregister
from rios_plugin_awsbatch.hosts.rios1_choice import LEARNING_ROUNDS
from rios_plugin_awsbatch.records import MAIN
from tests.hosts.support.jobs import blocks, double, fail_in_third
from tests.hosts.support.runs import live_run
from tests.support import calls
from tests.support.helpers import eventually

PATIENCE = 120


class Listener:
    """A plugin that keeps what it is told."""

    def __init__(self):
        self._lock = threading.Lock()  # guards the lists
        self.tasks, self.workers, self.runs = [], [], []

    @hookimpl
    def rios_awsbatch_task_done(self, record):
        with self._lock:
            self.tasks.append(record)

    @hookimpl
    def rios_awsbatch_worker_changed(self, record):
        with self._lock:
            self.workers.append(record)

    @hookimpl
    def rios_awsbatch_run_ended(self, record):
        with self._lock:
            self.runs.append(record)

    def task(self, name):
        """Return the record of the task of a name; it may come just after the future is done."""
        return eventually(
            lambda: next((record for record in self.tasks if record.name == name), None),
            f"no record of {name}",
        )


class Failing:
    """A plugin whose hooks raise."""

    calls = 0

    @hookimpl
    def rios_awsbatch_task_done(self, record):
        self.calls += 1
        raise RuntimeError("this plugin is broken")

    rios_awsbatch_worker_changed = rios_awsbatch_run_ended = rios_awsbatch_task_done


@pytest.fixture
def registered():
    """Register plugins for the test."""
    plugins = []

    def add(plugin):
        register(plugin)
        plugins.append(plugin)
        return plugin

    yield add
    for plugin in plugins:
        unregister(plugin)


@pytest.fixture
def listener(registered):
    return registered(Listener())


def test_a_task_that_is_done_is_told(cloud, listener):
    """With its run, its number, its worker, and when main sent it."""
    before = time.time()
    with BatchExecutor(1) as executor:
        assert executor.submit(calls.divide, 1, 2).result(PATIENCE) == 0.5
        run = live_run().run_id
        record = listener.task("tests.support.calls.divide")
    assert (record.run, record.task, record.outcome) == (run, 0, "done")
    assert record.worker not in ("", MAIN)
    assert before <= record.sent <= time.time()
    assert record.bytes_in > 0


@pytest.mark.kind("counts attempts")
def test_a_workers_measures_are_told(warm, listener):
    """When it began, how long it took, what came and went, and its one block by name."""
    manager = AWSBatchJobManager(2)
    manager.runSubJobs(double, blocks(2))
    record = listener.task("block 1,7")
    manager.finalise()
    assert record.attempt == 1
    assert record.blocks == 1
    assert record.begun > 0
    assert record.seconds > 0
    assert record.bytes_in > 0
    assert record.bytes_out > 0
    assert record.requests > 0
    (block,) = record.block_records
    assert block.name == "block 1,7"
    assert block.begun >= record.begun
    assert 0 < block.seconds <= record.seconds


def test_a_task_of_several_calls_is_told(cloud, listener):
    """With how many they are."""
    with BatchExecutor(1) as executor:
        assert list(executor.map(abs, range(5), chunksize=3)) == list(range(5))
        assert [listener.task(f"abs[{first}]").blocks for first in (0, 3)] == [3, 2]


def test_a_task_that_raised_is_told(cloud, listener):
    """The outcome is that of the user's function."""
    with BatchExecutor(1) as executor:
        assert executor.submit(calls.divide, 1, 0).exception(PATIENCE)
        record = listener.task("tests.support.calls.divide")
    assert record.outcome == "raised"
    assert record.worker not in ("", MAIN)


def test_a_task_that_is_cancelled_is_told(cloud, listener, tmp_path):
    """Once, although a worker may be computing it."""
    with calls.let_go(tmp_path / "go") as go, BatchExecutor(1) as executor:
        future = executor.submit(calls.await_file, str(go))
        assert future.cancel()
        record = listener.task("tests.support.calls.await_file")
    assert (record.outcome, record.worker, record.begun) == ("cancelled", "", 0.0)
    assert len(listener.tasks) == 1


def test_a_future_has_its_record_when_it_is_done(cloud, listener):
    """It is the record that plugins get."""
    with BatchExecutor(1) as executor:
        seen = []
        future = executor.submit(abs, -1)
        future.add_done_callback(lambda done: seen.append(done.record))
        assert future.result(PATIENCE) == 1
        assert eventually(lambda: seen) == [listener.task("abs")]


def test_workers_are_told_when_they_are_ready_and_when_they_go(cloud, listener):
    """By the names that the tasks' records have too."""
    with BatchExecutor(2) as executor:
        assert list(executor.map(abs, range(-10, 0), chunksize=1)) == list(range(10, 0, -1))
        run = live_run().run_id
    computed = {record.worker for record in listener.tasks}
    ready = {record.worker for record in listener.workers if record.event == "ready"}
    gone = {record.worker for record in listener.workers if record.event == "gone"}
    assert computed <= ready
    assert computed <= gone
    assert {record.run for record in listener.workers} == {run}


def test_a_run_that_has_ended_is_told(cloud, listener):
    """Once, with its totals, after nothing of it is left in AWS."""
    with BatchExecutor(1) as executor:
        assert list(executor.map(abs, range(3))) == [0, 1, 2]
        run = live_run().run_id
        assert listener.runs == []
    (record,) = listener.runs
    assert (record.run, record.tasks, record.workers, record.error) == (run, 3, 1, "")
    assert record.stack == os.environ["RIOS_AWSBATCH_STACK"]
    assert record.begun < record.ended
    assert record.requests > 0


def test_every_block_of_a_round_is_told(warm, listener):
    """The first one is main's; before the round there was no run, during it there is one."""
    manager = AWSBatchJobManager(3)
    manager.runSubJobs(double, blocks(1))
    manager.runSubJobs(double, blocks(3))
    run = live_run().run_id
    eventually(lambda: len(listener.tasks) == 4)
    manager.finalise()
    first, *records = listener.tasks
    assert (first.run, first.name, first.worker) == ("", "block 0,7", MAIN)
    told = {record.name: record for record in records}
    assert told.keys() == {"block 0,7", "block 1,7", "block 2,7"}
    assert {record.run for record in records} == {run}
    assert {record.outcome for record in records} == {"done"}
    mains = told["block 0,7"]
    assert (mains.worker, mains.task, mains.blocks, mains.attempt) == (MAIN, -1, 1, 1)
    assert mains.begun == mains.sent > 0
    assert MAIN not in (told["block 1,7"].worker, told["block 2,7"].worker)


def test_rounds_that_main_computes_are_told(warm, listener):
    """Each of its blocks, as if a worker had computed it."""
    manager = AWSBatchJobManager(3)
    rounds = LEARNING_ROUNDS + 10
    for _ in range(rounds):
        manager.runSubJobs(double, blocks(3))
    eventually(lambda: len(listener.tasks) == 3 * rounds)
    manager.finalise()
    mains = [record for record in listener.tasks if record.worker == MAIN]
    assert len(mains) > rounds
    assert {record.name for record in mains} == {"block 0,7", "block 1,7", "block 2,7"}


def test_a_block_that_fails_in_main_is_told(warm, listener):
    """It is the first of its round."""
    manager = AWSBatchJobManager(2)
    with pytest.raises(calls.UserError):
        manager.runSubJobs(fail_in_third, blocks(4)[3:])
    manager.finalise()
    (record,) = listener.tasks
    assert (record.name, record.worker, record.outcome) == ("block 3,7", MAIN, "raised")


def test_a_plugin_that_raises_harms_nothing(cloud, registered, caplog):
    """Its errors are logged, and the plugins registered before and after it are called."""
    before, failing, after = Listener(), Failing(), Listener()
    for plugin in (before, failing, after):
        registered(plugin)
    with BatchExecutor(1) as executor:
        assert list(executor.map(abs, range(5))) == list(range(5))
    for listener in (before, after):
        assert [record.outcome for record in listener.tasks] == ["done"] * 5
        assert len(listener.runs) == 1
        assert {record.event for record in listener.workers} == {"ready", "gone"}
    assert failing.calls > 5
    assert "a plugin's rios_awsbatch_task_done failed" in caplog.text
    assert not cloud.run_queues()


def test_a_plugin_that_raises_does_not_hide_mains_error(warm, registered):
    """A block that fails in main raises the user's exception all the same."""
    registered(Failing())
    with pytest.raises(calls.UserError):
        AWSBatchJobManager(2).runSubJobs(fail_in_third, blocks(4)[3:])


def test_a_plugin_is_called_until_it_is_unregistered(warm):
    """It may be registered again afterwards, but not twice."""
    listener, manager = Listener(), AWSBatchJobManager(2)
    for count in (1, 2):
        register(listener)
        with pytest.raises(ValueError, match="already registered"):
            register(listener)
        manager.runSubJobs(double, blocks(1))
        unregister(listener)
        manager.runSubJobs(double, blocks(1))
        assert len(listener.tasks) == count


def test_a_hook_that_does_not_exist_is_refused():
    """A misspelt name is an error when it is registered; the plugin is not registered then."""

    class Misspelt:
        @hookimpl
        def rios_awsbatch_task_finished(self, record):
            raise AssertionError

    plugin = Misspelt()
    for _ in range(2):
        with pytest.raises(pluggy.PluginValidationError, match="rios_awsbatch_task_finished"):
            register(plugin)


def test_a_hook_with_another_argument_is_refused():
    """It could not be called."""

    class Wrong:
        @hookimpl
        def rios_awsbatch_task_done(self, task):
            raise AssertionError

    with pytest.raises(pluggy.PluginValidationError, match="task"):
        register(Wrong())


def test_records_cannot_be_changed(cloud, listener):
    """Several plugins get the same one."""
    with BatchExecutor(1) as executor:
        assert executor.submit(abs, -1).result(PATIENCE) == 1
        record = listener.task("abs")
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.seconds = 0.0
