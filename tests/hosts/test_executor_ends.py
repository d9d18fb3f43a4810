"""How executors begin and end: at no cost before the first call, and with nothing left."""

import dataclasses
import functools
import gc
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import wait

import numpy as np
import pytest

from rios_plugin_awsbatch import AWSBatchException, BatchExecutor
from rios_plugin_awsbatch.errors import SettingsError, StackError
from tests.support import calls
from tests.support.helpers import eventually

PATIENCE = 120


def run_script(text, **environment):
    """Run a script in its own process, with this process's environment."""
    return subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_an_executor_without_calls_costs_nothing(cloud):
    """Nothing is created in AWS before the first call; an executor may end without one."""
    with BatchExecutor(3) as executor:
        assert not cloud.left()
        assert executor.statistics().requests == 0
    assert not cloud.left()


def test_leaving_the_with_block_waits_for_all_and_takes_everything_down(cloud):
    """When the block is left, all futures are done, and queues, objects and workers are gone."""
    with BatchExecutor(2) as executor:
        futures = [executor.submit(pow, n, 2) for n in range(20)]
        first = futures[0].result(PATIENCE)
        assert len(cloud.record()["queues"]) == 2
        assert cloud.unfinished_jobs() == eventually(lambda: cloud.record()["jobs"])
    assert all(future.done() for future in futures)
    assert [first, *(future.result() for future in futures[1:])] == [n**2 for n in range(20)]
    assert not cloud.run_queues()


def test_an_exception_in_the_with_block_takes_everything_down(cloud):
    """The script gets its exception, and nothing is left."""
    with pytest.raises(ZeroDivisionError), BatchExecutor(2) as executor:
        calls.divide(1, executor.submit(int, 0).result(PATIENCE))
    assert not cloud.run_queues()


def test_no_thread_of_a_run_outlives_its_end(cloud):
    """When shutdown has returned, none of the run's threads is left, whatever it waits for."""
    before = set(threading.enumerate())
    with BatchExecutor(2) as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) - before == set()
    assert not cloud.run_queues()


def test_shutdown_may_be_called_twice(cloud):
    """The second time does nothing."""
    executor = BatchExecutor(1)
    assert executor.submit(abs, -1).result(PATIENCE) == 1
    executor.shutdown()
    executor.shutdown()
    executor.shutdown(wait=False, cancel_futures=True)
    assert not cloud.run_queues()


def test_no_call_is_taken_after_shutdown(cloud):
    """`submit` and `map` raise Python's own error, and nothing is created in AWS."""
    executor = BatchExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, -1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(abs, [-1])
    assert not cloud.left()


def test_a_map_that_is_ahead_of_its_reader_ends_with_its_executor(cloud):
    """Also if another executor keeps the run alive: what was sent comes, and no more is sent."""
    with BatchExecutor(1) as other:
        assert other.submit(abs, -1).result(PATIENCE) == 1
        executor = BatchExecutor(1)
        results = executor.map(abs, range(-9, 0), buffersize=2)
        assert next(results) == 9
        executor.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            list(results)
    assert not cloud.run_queues()


def test_shutdown_can_cancel_what_waits(cloud, tmp_path):
    """With cancel_futures, pending calls are cancelled without waiting for the workers."""
    with calls.let_go(tmp_path / "go") as go:
        executor = BatchExecutor(1)
        done = executor.submit(abs, -1)
        assert done.result(PATIENCE) == 1
        futures = [executor.submit(calls.await_file, str(go)) for _ in range(5)]
        executor.shutdown(cancel_futures=True)
        assert [future.cancelled() for future in futures] == [True] * 5
        assert not cloud.run_queues()
    assert done.result() == 1


def test_shutdown_need_not_wait(cloud, tmp_path):
    """Without wait, shutdown returns at once; the results come, then everything is taken down."""
    with calls.let_go(tmp_path / "go") as go:
        executor = BatchExecutor(1)
        future = executor.submit(calls.await_file, str(go), "came")
        executor.shutdown(wait=False)
        assert not future.done()
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(abs, -1)
    assert future.result(PATIENCE) == "came"
    eventually(lambda: not cloud.left(), lambda: f"left: {cloud.left()}")


def test_an_end_right_after_the_beginning_leaves_nothing(cloud):
    """Workers that are being submitted while the run ends are ended too."""
    for _ in range(5):
        executor = BatchExecutor(2)
        future = executor.submit(abs, -1)
        executor.shutdown(cancel_futures=True)
        assert future.done()
        assert not cloud.run_queues()
        assert not cloud.objects()
    eventually(lambda: not cloud.left(), lambda: f"left: {cloud.left()}")


def test_results_of_a_map_that_nobody_wants_are_cancelled(cloud, tmp_path):
    """Closing the iterator cancels the rest, so leaving the block is quick."""
    with calls.let_go(tmp_path / "go") as go, BatchExecutor(1) as executor:
        paths = [__file__, *[str(go)] * 5]
        results = executor.map(calls.await_file, paths, range(6))
        assert next(results) == 0
        results.close()
        executor.shutdown()
        assert not go.exists()
        assert not cloud.run_queues()


def test_map_stays_only_so_far_ahead_as_it_may(cloud):
    """With a buffersize, an endless iterable can be mapped: arguments are taken as results are."""
    taken = []

    def numbers():
        while True:
            taken.append(len(taken))
            yield taken[-1]

    with BatchExecutor(1) as executor:
        results = executor.map(abs, numbers(), buffersize=3)
        assert [next(results) for _ in range(10)] == list(range(10))
        assert len(taken) <= 10 + 3 + 1
        results.close()
    assert not cloud.run_queues()


def test_two_executors_share_a_run(cloud):
    """A second executor uses the same run and workers; they end with the last executor."""
    with BatchExecutor(2) as first:
        pid = first.submit(os.getpid).result(PATIENCE)
        assert pid
        with BatchExecutor(1) as second:
            assert second.submit(abs, -2).result(PATIENCE) == 2
            assert len(cloud.run_queues()) == 2
        assert len(cloud.run_queues()) == 2
        assert first.submit(abs, -3).result(PATIENCE) == 3
    assert not cloud.run_queues()


def test_executors_with_other_settings_have_runs_of_their_own(cloud):
    """If a setting differs, there are two runs, each with its own queues."""
    with BatchExecutor(1) as first, BatchExecutor(1, compression="zlib") as second:
        assert [executor.submit(abs, -1).result(PATIENCE) for executor in (first, second)] == [1, 1]
        assert len(cloud.run_queues()) == 4
        assert len({key.split("/")[1] for key in cloud.objects()}) == 2


def test_a_new_executor_after_the_end_has_a_new_run(cloud):
    """After an executor has ended, another one can begin."""
    queues = set()
    for _ in range(2):
        with BatchExecutor(1) as executor:
            assert executor.submit(abs, -1).result(PATIENCE) == 1
            queues |= set(cloud.run_queues())
    assert len(queues) == 4


def test_a_thread_may_use_and_end_an_executor(cloud):
    """Neither the start nor the end needs the main thread."""
    results = []

    def use():
        with BatchExecutor(1) as executor:
            results.extend(executor.map(abs, [-1, -2]))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(PATIENCE)
    assert results == [1, 2]
    assert not cloud.run_queues()


def test_threads_that_submit_first_at_the_same_time_start_one_run(cloud):
    """One of them starts the run, and the others wait for it."""
    together, results = threading.Barrier(4), []

    def use(executor):
        together.wait()
        results.append(executor.submit(abs, -1).result(PATIENCE))

    with BatchExecutor(1) as executor:
        threads = [threading.Thread(target=use, args=(executor,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert results == [1] * 4
        assert len(cloud.run_queues()) == 2
    assert not cloud.run_queues()


def test_a_start_that_failed_is_tried_again(cloud):
    """The error is raised by the call, and costs nothing."""
    with BatchExecutor(1, stack="Nowhere") as executor:
        for _ in range(2):
            with pytest.raises(StackError, match="Nowhere"):
                executor.submit(abs, -1)
        assert executor.statistics().requests == 0
    assert not cloud.left()


def test_shutdown_ends_a_run_that_is_just_being_started(cloud):
    """It waits for the start; the call that has started the run is refused, or cancelled."""
    for _ in range(3):
        executor, refused = BatchExecutor(1), []

        def use(executor=executor, refused=refused):
            try:
                refused.append(executor.submit(abs, -1))
            except (RuntimeError, AWSBatchException) as error:
                refused.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        eventually(lambda executor=executor: executor._lease is not None)
        executor.shutdown(cancel_futures=True)
        thread.join(PATIENCE)
        assert len(refused) == 1
        assert not cloud.run_queues()
    eventually(lambda: not cloud.left(), lambda: f"left: {cloud.left()}")


def test_shared_arguments_are_stored_once(cloud):
    """What a partial holds is sent once, however many tasks need it, and until it changes."""
    table = os.urandom(2_000_000)
    with BatchExecutor(2) as executor:
        futures = [executor.submit(functools.partial(len, table)) for _ in range(10)]
        assert {future.result(PATIENCE) for future in futures} == {2_000_000}
        assert list(executor.map(functools.partial(calls.divide, b=2), [2, 4])) == [1, 2]
        assert len([key for key in cloud.objects() if "/shared/" in key]) == 1
        assert 2_000_000 < executor.statistics().bytes_sent < 2_100_000


def test_statistics_count_what_was_done(cloud):
    """Workers, tasks, requests and bytes, while the run goes on and after its end."""
    with BatchExecutor(2) as executor:
        assert list(executor.map(bytes, [1000] * 10)) == [bytes(1000)] * 10
        seen = executor.statistics()
    after = executor.statistics()
    assert after.requests >= seen.requests
    assert after.workers >= seen.workers  # the second one may have become ready meanwhile
    same = {"requests": seen.requests, "workers": seen.workers}
    assert dataclasses.replace(after, **same) == seen
    assert seen.tasks == 10
    assert 1 <= seen.workers <= 2
    assert seen.requests > 10 / 10
    assert seen.bytes_received > 10_000
    assert not cloud.run_queues()


@pytest.mark.parametrize("workers", [0, -1, "4", True, 2.5, None])
def test_a_wrong_number_of_workers_is_refused(workers):
    """The error names the value; nothing is created."""
    with pytest.raises(
        ValueError,
        match=rf"^max_workers must be greater than 0, and a whole number; it is {workers!r}\.$",
    ):
        BatchExecutor(workers)


def test_wrong_arguments_are_refused():
    """A setting that does not exist is named."""
    with pytest.raises(SettingsError, match="no setting max_attemps"):
        BatchExecutor(1, max_attemps=2)


@pytest.mark.parametrize("name", ["chunksize", "buffersize"])
@pytest.mark.parametrize("size", [0, -1, 1.5, "2", np.float64(2)])
def test_chunks_and_buffers_have_a_whole_size(cloud, name, size):
    """It is refused before anything is started, with its name and value."""
    with BatchExecutor(1) as executor:
        value = re.escape(repr(size))
        match = rf"^{name} must be greater than 0, and a whole number; it is {value}\.$"
        with pytest.raises(ValueError, match=match):
            executor.map(abs, [1], **{name: size})
        assert list(executor.map(abs, [], **{name: np.int64(2)})) == []
    assert not cloud.left()


USE = """
from rios_plugin_awsbatch import BatchExecutor
e = BatchExecutor(1)
print(e.submit(abs, -7).result(120))
"""


@pytest.mark.parametrize(
    "ending", ["", "1 / 0", "import sys; sys.exit(3)", "raise KeyboardInterrupt"]
)
def test_a_script_that_ends_without_shutdown_leaves_nothing(cloud, ending):
    """However the interpreter ends, its runs end with it."""
    ended = run_script(USE + ending)
    assert ended.stdout == "7\n"
    assert ("Error" in ended.stderr or "Interrupt" in ended.stderr) == (
        "0" in ending or "Key" in ending
    )
    assert not cloud.run_queues()


def test_an_executor_that_was_forgotten_ends_with_the_script(cloud):
    """An executor without references goes on while its futures are needed."""
    ended = run_script(
        "from rios_plugin_awsbatch import BatchExecutor\nimport gc\n"
        "f = BatchExecutor(1).submit(abs, -7)\ngc.collect()\nprint(f.result(120))\n"
    )
    assert (ended.stdout, ended.stderr) == ("7\n", "")
    assert not cloud.run_queues()


def test_a_forked_child_does_not_end_its_parents_run(cloud):
    """What the parent created in AWS belongs to the parent, even if the child ends first."""
    ended = run_script(
        USE + "import os, sys\nsys.stdout.flush()\npid = os.fork()\nif not pid:\n    sys.exit(0)\n"
        "os.waitpid(pid, 0)\nprint(e.submit(abs, -8).result(120))\n"
    )
    assert ended.stdout == "7\n8\n"
    assert not cloud.run_queues()


def test_futures_know_nothing_of_a_run_that_has_ended(cloud):
    """Results stay available after the run has ended."""
    with BatchExecutor(1) as executor:
        futures = [executor.submit(abs, -n) for n in range(3)]
    del executor
    gc.collect()
    assert wait(futures, PATIENCE).not_done == set()
    assert [future.result() for future in futures] == [0, 1, 2]
    assert not cloud.run_queues()
