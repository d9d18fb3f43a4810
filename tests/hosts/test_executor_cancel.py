"""What nobody waits for: it is not computed, not paid, and in nobody's way."""

import gc
import sys
import time
import weakref
from concurrent.futures import CancelledError
from pathlib import Path

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from tests.support import calls
from tests.support.helpers import eventually

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_a_result_of_a_map_is_held_by_its_reader_alone(cloud):
    """Blocks are large: one that has been taken and dropped takes no memory any more."""
    with BatchExecutor(1) as executor:
        for result in executor.map(calls.Accumulator, range(3)):
            reference = weakref.ref(result)
            del result
            gc.collect()
            assert reference() is None
    assert not cloud.run_queues()


def test_ctrl_c_while_shutdown_waits_ends_all_at_once(cloud, tmp_path, monkeypatch):
    """Nobody waits any more: the run is taken down, and what was computed is cancelled."""

    def interrupted(_futures):
        raise KeyboardInterrupt

    with calls.let_go(tmp_path / "go") as go:
        executor = BatchExecutor(1)
        future = executor.submit(calls.touch_and_await, str(tmp_path / "begun"), str(go))
        eventually((tmp_path / "begun").exists)
        monkeypatch.setattr("rios_plugin_awsbatch.hosts.executor.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            executor.shutdown()
        assert not cloud.run_queues()
        with pytest.raises(CancelledError):
            future.result(0)


def note_and_sleep(folder, number, seconds):
    (Path(folder) / str(number)).touch()
    time.sleep(seconds)
    return number


def test_what_no_worker_has_begun_is_not_computed(cloud, tmp_path):
    """Cancelled calls leave the queue at once; the next call need not wait for them."""
    with BatchExecutor(2) as executor:
        assert executor.submit(abs, -1).result(120) == 1
        futures = [executor.submit(note_and_sleep, tmp_path, n, 1) for n in range(40)]
        eventually(lambda: len(list(tmp_path.iterdir())) >= 2)
        assert sum(future.cancel() for future in futures) >= 30
        queue = next(url for url in cloud.run_queues() if url.endswith("-tasks"))
        eventually(lambda: cloud.messages(queue) <= 4)
        begun = len(list(tmp_path.iterdir()))
        assert executor.submit(abs, -2).result(120) == 2
        assert len(list(tmp_path.iterdir())) <= begun + 2
        executor.shutdown(cancel_futures=True)
    assert not cloud.run_queues()


def test_an_error_in_a_map_withdraws_the_rest(cloud, tmp_path):
    """The iterator's end is the end of its calls."""
    with calls.let_go(tmp_path / "go") as go, BatchExecutor(1) as executor:
        results = executor.map(fail_or_wait, [str(go)] * 30, range(30))
        with pytest.raises(ZeroDivisionError):
            next(results)
        queue = next(url for url in cloud.run_queues() if url.endswith("-tasks"))
        eventually(lambda: cloud.messages(queue) <= 2)
        go.touch()
        assert executor.submit(abs, -2).result(120) == 2
    assert not cloud.run_queues()


def fail_or_wait(path, number):
    """Fail for 0; what is computed after that waits, in whatever order SQS hands it out."""
    failed = Path(f"{path}-failed")
    if number == 0:
        failed.touch()
    elif failed.exists():
        calls.await_file(path)
    return 1 // number


def test_a_call_that_a_worker_computes_is_running(cloud, tmp_path):
    """Its future says so after a while, and cannot be cancelled; shutdown waits for it."""
    with calls.let_go(tmp_path / "go") as go, BatchExecutor(1) as executor:
        future = executor.submit(calls.await_file, str(go), "came")
        other = executor.submit(abs, -1)
        eventually(future.running)
        assert not future.cancel()
        assert other.cancel()
        go.touch()
        executor.shutdown(cancel_futures=True)
        assert future.result(0) == "came"
    assert not cloud.run_queues()


def test_a_call_that_follows_another_is_running_at_no_cost(cloud, tmp_path):
    """The result of the one says that the next was begun: no message is sent for that."""
    with calls.let_go(tmp_path / "go") as go, BatchExecutor(1) as executor:
        quick = [executor.submit(time.sleep, 0.3) for _ in range(4)]
        assert quick[0].result(120) is None  # so the others are in the queue before the slow one
        slow = executor.submit(calls.await_file, str(go), "came")
        assert [future.result(120) for future in quick] == [None] * 4
        eventually(slow.running)
        go.touch()
        assert slow.result(120) == "came"
    assert not cloud.run_queues()


def test_an_exception_in_the_with_block_waits_for_no_call(cloud, tmp_path):
    """Not even for one that a worker computes: nobody will ask for its result."""
    submitted = []

    def use(go):
        with BatchExecutor(1) as executor:
            submitted.append(executor.submit(calls.await_file, str(go)))
            eventually(submitted[0].running)
            calls.divide(1, 0)

    with calls.let_go(tmp_path / "go") as go:
        with pytest.raises(ZeroDivisionError):
            use(go)
        with pytest.raises(CancelledError):
            submitted[0].result(0)
        assert not go.exists()
        assert not cloud.run_queues()
