"""One contract for everything that calls functions on workers, as CPython has for executors."""

import concurrent.futures
import functools
import itertools
import os
import threading
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, as_completed, wait

import numpy as np
import pytest

from rios_plugin_awsbatch import AWSBatchException, BatchExecutor
from rios_plugin_awsbatch.errors import PicklingError, RemoteError, WorkerTraceback
from rios_plugin_awsbatch.run import leases as live
from tests.support import calls
from tests.support.calls import KINDS, UserError
from tests.support.helpers import eventually

PATIENCE = 120


@pytest.fixture(scope="module")
def warm_workers(local_aws, session_cloud):
    """A run that all tests of this module share, kept alive by an executor."""
    with local_aws.activated(), BatchExecutor(2) as holder:
        assert holder.submit(os.getpid).result(PATIENCE) != os.getpid()
        yield session_cloud
    live.close_all()
    assert not {"objects", "queues"} & session_cloud.left().keys()
    eventually(lambda: not session_cloud.left(), lambda: f"left: {session_cloud.left()}")


@pytest.fixture(params=KINDS)
def executor(request, warm_workers):
    with KINDS[request.param](2) as executor:
        yield executor


# Results


def test_a_call_is_made_in_another_process(executor):
    """`submit` returns a future of the call's result."""
    assert executor.submit(pow, 2, 5).result(PATIENCE) == 32
    assert executor.submit(os.getpid).result(PATIENCE) != os.getpid()


def test_any_keyword_can_be_given(executor):
    """Also names that submit itself uses."""
    given = {"self": 1, "fn": 2, "function": 3, "args": 4, "name": 5, "shared": 6}
    assert executor.submit(calls.keywords, **given).result(PATIENCE) == given


def test_results_of_any_kind_come_back(executor):
    """None, a class, a function, an exception as a value: all of them are results."""
    for value in (None, UserError, 10**400, {"a": (1, [2])}, float("inf")):
        assert executor.submit(lambda value: value, value).result(PATIENCE) == value
    assert executor.submit(lambda: calls.divide).result(PATIENCE)(6, 3) == 2
    assert isinstance(executor.submit(lambda: ValueError("no")).result(PATIENCE), ValueError)


def test_map_keeps_the_order(executor):
    """Results come in the order of the arguments, up to the end of the shortest iterable."""
    assert list(executor.map(pow, range(20), itertools.repeat(2))) == [n**2 for n in range(20)]
    assert list(executor.map(calls.divide_or_none, [4, 6, 8], [2, 0])) == [2.0, None]
    assert list(executor.map(abs, [])) == []


@pytest.mark.parametrize("chunksize", [1, 3, 7, 100])
def test_map_in_chunks_gives_the_same(executor, chunksize):
    """The number of calls in a task changes only the number of tasks."""
    assert list(executor.map(pow, range(10), range(10), chunksize=chunksize)) == [
        n**n for n in range(10)
    ]


def test_map_raises_where_the_call_failed(executor):
    """The results before the failed call come first; then its exception is raised."""
    results = executor.map(calls.divide, [1, 1, 1], [1, 1, 0])
    assert [next(results), next(results)] == [1.0, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_gives_up_when_its_time_is_over(executor, tmp_path):
    """A result that does not come in time is a TimeoutError."""
    with calls.let_go(tmp_path / "go") as go, pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(calls.await_file, [str(go)], timeout=0.05))


def test_many_small_tasks_all_come_back(executor):
    """Three hundred tasks: each once, and none is lost."""
    futures = [executor.submit(abs, -n) for n in range(300)]
    assert [future.result(PATIENCE) for future in futures] == list(range(300))


def test_several_threads_may_submit(executor):
    """All threads of a process can use one executor."""
    results = {}

    def use(number):
        results[number] = list(executor.map(divmod, range(10), itertools.repeat(number)))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == {number: [divmod(n, number) for n in range(10)] for number in range(1, 6)}


# Futures


def test_futures_work_with_wait_and_as_completed(executor, tmp_path):
    """What Python offers for futures works with ours."""
    with calls.let_go(tmp_path / "go") as go:
        slow = executor.submit(calls.await_file, str(go), "slow")
        quick = [executor.submit(abs, -n) for n in range(3)]
        done, rest = wait([*quick[:1], slow], PATIENCE, return_when=FIRST_COMPLETED)
        assert (done, rest) == ({quick[0]}, {slow})
        failing = executor.submit(calls.divide, 1, 0)
        assert failing in wait([slow, failing], PATIENCE, return_when=FIRST_EXCEPTION).done
        assert not slow.done()
    assert {f.result() for f in as_completed([slow, *quick], PATIENCE)} == {"slow", 0, 1, 2}


def test_callbacks_are_called_once_with_the_future(executor):
    """A callback gets a future that is done, whether it was added before or after that."""
    called = threading.Event()
    seen = []
    future = executor.submit(pow, 2, 3)
    future.add_done_callback(lambda done: (seen.append(done.result()), called.set()))
    assert called.wait(PATIENCE)
    future.add_done_callback(seen.append)
    assert seen == [8, future]


def test_a_future_can_be_cancelled_until_a_worker_computes_it(executor, tmp_path):
    """Nor can it be cancelled once it is done."""
    with calls.let_go(tmp_path / "go") as go:
        busy = [executor.submit(calls.await_file, str(go)) for _ in range(2)]
        future = executor.submit(calls.await_file, str(go))
        assert future.cancel()
        assert future.cancelled()
        assert wait([future], PATIENCE).done == {future}
        eventually(lambda: all(one.running() for one in busy))
        assert not any(one.cancel() for one in busy)
    done = executor.submit(abs, -1)
    assert done.result(PATIENCE) == 1
    assert not done.cancel()


# Arguments


@pytest.mark.parametrize("size", [10, 400_000, 3_000_000])
def test_arguments_and_results_of_any_size_travel(executor, size):
    """Arrays arrive unharmed both ways, in the message or through the bucket."""
    array = np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)
    futures = [executor.submit(lambda a, n: a[::-1] + np.uint8(n), array, n) for n in range(4)]
    for number, future in enumerate(futures):
        assert np.array_equal(future.result(PATIENCE), array[::-1] + np.uint8(number))


def test_what_happens_to_an_argument_after_submit_does_not_matter(executor):
    """A task has the values that its arguments had when it was submitted."""
    array, several = np.zeros(1_000_000), [1, 2, 3]
    futures = [executor.submit(np.sum, array), executor.submit(sum, several)]
    array[:] = 1
    several.append(4)
    assert [future.result(PATIENCE) for future in futures] == [0, 6]


def test_what_a_function_does_to_its_arguments_stays_in_the_worker(executor):
    """The function may change arrays in place; main's do not change."""
    array = np.zeros(10)
    assert executor.submit(calls.add_one, array).result(PATIENCE) == 10
    assert array.sum() == 0


def test_a_result_can_be_changed(executor):
    """Arrays in results are writable."""
    result = executor.submit(np.zeros, 200_000).result(PATIENCE)
    result += 1
    assert result.sum() == 200_000


def test_each_task_has_its_own_copy_of_what_a_partial_holds(executor):
    """A task that changes a shared argument in place changes it for no other task."""
    function = functools.partial(calls.add_one, np.zeros(5))
    futures = [executor.submit(function) for _ in range(6)]
    assert [future.result(PATIENCE) for future in futures] == [5] * 6
    assert list(executor.map(function, range(6))) == [5] * 6
    assert list(executor.map(function, range(6), chunksize=3)) == [5] * 6
    assert function.args[0].sum() == 0


def test_partials_work_as_at_home(executor):
    """Arguments of partials, of partials of partials, and of the call, in Python's order."""
    inner = functools.partial(lambda *given, **named: (given, named), 1, a=1, b=1)
    outer = functools.partial(inner, 2, b=2, c=2)
    for function in (inner, outer):
        assert executor.submit(function, 3, c=3).result(PATIENCE) == function(3, c=3)


def test_a_function_has_the_state_of_the_moment_when_it_was_submitted(executor):
    """Callable objects, bound methods and closures are sent again once they have changed."""
    accumulator = calls.Accumulator(10)
    factor = 1
    first = [executor.submit(f, 1) for f in (accumulator, accumulator.add, lambda n: factor * n)]
    accumulator.total, factor = 20, 5
    second = [executor.submit(f, 1) for f in (accumulator, accumulator.add, lambda n: factor * n)]
    assert [future.result(PATIENCE) for future in first] == [11, 11, 1]
    assert [future.result(PATIENCE) for future in second] == [21, 21, 5]


# Errors


def test_an_exception_comes_back_with_the_workers_traceback(executor):
    """Type and message are the user's; the cause shows the place in the code, and the worker."""
    error = executor.submit(calls.divide, 1, 0).exception(PATIENCE)
    assert type(error) is ZeroDivisionError
    assert str(error) == "division by zero"
    assert isinstance(error.__cause__, WorkerTraceback)
    text = str(error.__cause__)
    assert "in divide" in text
    assert "return a / b" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "worker " in text
    assert "Python 3." in text


def test_an_exception_of_the_users_own_keeps_its_class_and_attributes(executor):
    """The class is main's, so it can be caught; the traceback shows what it was raised from."""
    error = executor.submit(calls.fail_chained).exception(PATIENCE)
    assert type(error) is UserError
    assert error.code == 7
    assert "division by zero" in str(error.__cause__)
    assert "The above exception was the direct cause" in str(error.__cause__)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (calls.fail_stubbornly, "StubbornError: one and two"),
        (calls.fail_locked, "LockedError: nobody pickles me"),
        (calls.fail_speechless, "SpeechlessError"),
    ],
)
def test_an_exception_that_cannot_travel_is_told(executor, function, text):
    """Its type, its message and the traceback come in an error of this package."""
    error = executor.submit(function).exception(PATIENCE)
    assert isinstance(error, RemoteError | calls.SpeechlessError)
    assert text in f"{error!r}"
    assert function.__name__ in str(error.__cause__)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_end_a_process_ends_neither_main_nor_the_worker(executor, kind):
    """If a function calls sys.exit, for example, main gets an Exception that says so."""
    error = executor.submit(calls.fail, kind("the end")).exception(PATIENCE)
    assert isinstance(error, RemoteError)
    assert f"{kind.__name__}: the end" in str(error)
    assert executor.submit(abs, -1).result(PATIENCE) == 1


@pytest.mark.parametrize(
    "message", ["x" * 3_000_000, "No such file: " + os.fsdecode(b"caf\xe9.tif"), "\ufffe\x00", ""]
)
def test_an_exception_with_any_message_comes_back(executor, message):
    """A message that is too long for a queue, not valid text, or empty does not end the worker."""
    error = executor.submit(calls.fail, ValueError(message)).exception(PATIENCE)
    assert isinstance(error, ValueError | RemoteError)
    assert str(error)[:10] == message[:10] or "ValueError" in str(error)
    assert executor.submit(abs, -1).result(PATIENCE) == 1


def test_a_recursion_without_end_is_an_error(executor):
    """A RecursionError in a worker is the user's error, like any other."""

    def forever(number):
        return forever(number) + 1

    with pytest.raises(RecursionError):
        executor.submit(forever, 1).result(PATIENCE)


def test_an_exception_class_that_is_raised_as_value_stays_one(executor):
    """The user's function may raise an error of this package, which stays that error."""
    error = executor.submit(calls.fail, AWSBatchException("mine")).exception(PATIENCE)
    assert type(error) is AWSBatchException
    assert str(error) == "mine"


# What cannot be pickled


def test_a_function_that_cannot_be_pickled_is_named(executor):
    """`submit` raises, with the function's name and the reason, and the next call works."""
    lock = threading.Lock()

    def guarded():
        with lock:
            return 1

    with pytest.raises(
        PicklingError, match=r"guarded.* cannot be pickled: TypeError: cannot pickle '_thread.lock'"
    ):
        executor.submit(guarded).result(PATIENCE)
    assert executor.submit(abs, -1).result(PATIENCE) == 1


def test_an_argument_that_cannot_be_pickled_is_named(executor):
    """`submit` raises, and says that it was an argument."""
    with pytest.raises(
        PicklingError, match=r"argument of .* cannot be pickled: TypeError: cannot pickle '_thread"
    ):
        executor.submit(abs, threading.Lock()).result(PATIENCE)
    assert executor.submit(abs, -1).result(PATIENCE) == 1


@pytest.mark.parametrize("function", [calls.locked_result, calls.count_up])
def test_a_result_that_cannot_be_pickled_is_named(executor, function):
    """The future raises and says that it was the result; the worker goes on."""
    with pytest.raises(
        PicklingError, match=r"The result of .* cannot be pickled: TypeError: cannot pickle"
    ):
        executor.submit(function).result(PATIENCE)
    assert executor.submit(abs, -1).result(PATIENCE) == 1


def test_a_module_that_workers_do_not_have_is_named(executor, tmp_path, monkeypatch):
    """A function from a module beside the script is a common mistake: the error says what to do."""
    (tmp_path / "module_beside_the_script.py").write_text("def function():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import module_beside_the_script  # noqa: PLC0415 - it was not there before

    with pytest.raises(ModuleNotFoundError, match="module_beside_the_script") as caught:
        executor.submit(module_beside_the_script.function).result(PATIENCE)
    assert "install the module in the workers' image" in str(caught.value)
