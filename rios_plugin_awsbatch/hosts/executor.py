"""`BatchExecutor`: a `concurrent.futures.Executor` whose workers run on AWS Batch."""

import collections
import functools
import itertools
import operator
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast

from rios_plugin_awsbatch.overrides import SettingsOverrides
from rios_plugin_awsbatch.run.leases import Lease, lease
from rios_plugin_awsbatch.run.run import Run
from rios_plugin_awsbatch.run.statistics import Statistics
from rios_plugin_awsbatch.run.tasks import TaskFuture
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.wire.payload import describe

from .executor_remote import call_chunk

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in `typing` since Python 3.11

__all__ = ["BatchExecutor"]

P = ParamSpec("P")
T = TypeVar("T")
_Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]  # positional, and by keyword


class BatchExecutor(Executor):
    """Calls functions on AWS Batch workers; use it like any other executor.

    Nothing is started, and nothing costs money, before the first call is submitted. Two executors
    of one process that have the same settings share a run and its workers.

    Put a large array that many calls need into a `functools.partial`: the arguments that a partial
    holds are stored once and kept by the workers, and each call gets a fresh copy. Workers also
    keep the function itself, so its globals and closures keep their values from call to call.

    Args:
        max_workers: How many workers, at least one.
        settings: The settings; by default they are made from `overrides` and the environment.
        overrides: Single settings, by name.

    Raises:
        ValueError: `max_workers` is not a whole number of at least 1.
        TypeError: Both settings and overrides are given.
        SettingsError: A setting cannot be used.
    """

    def __init__(
        self,
        max_workers: int,
        settings: Settings | None = None,
        **overrides: "Unpack[SettingsOverrides]",
    ) -> None:
        if isinstance(max_workers, bool):
            raise _no_whole_number("max_workers", max_workers)
        max_workers = _at_least_one("max_workers", max_workers)
        if settings is not None and overrides:
            raise TypeError(
                f"BatchExecutor takes settings or overrides, not both: {', '.join(overrides)}"
            )
        self._max_workers = max_workers
        self._settings = settings or load(Settings, **overrides)
        self._lock = threading.Lock()  # guards all that follows
        self._lease: Future[Lease] | None = None  # done as soon as the run has started
        self._shut_down = False
        self._futures: set[TaskFuture] = set()  # those without an outcome

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Have ``fn(*args, **kwargs)`` called by a worker; see `Executor.submit`.

        Raises:
            PicklingError: The function or an argument cannot be pickled.
            StackError: The stack cannot be used.
            RuntimeError: The executor is shut down.
        """
        function, shared = _split(fn)
        run = self._open_run()
        return self._tracked(run.submit(function, args, kwargs, name=describe(fn), shared=shared))

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call `fn` with the items of `iterables`; see `Executor.map`.

        Args:
            fn: The callable.
            iterables: One for each argument.
            timeout: Seconds from this call within which each result must have come.
            chunksize: How many calls make one task; raise it if a call takes less time than sending
                it.
            buffersize: How many tasks may be submitted ahead of the results taken, as in Python
                3.14; limits how much memory results take in main. All tasks, by default.

        Raises:
            ValueError: `chunksize` or `buffersize` is not a whole number of at least 1.
        """
        chunksize = _at_least_one("chunksize", chunksize)
        if buffersize is not None:
            buffersize = _at_least_one("buffersize", buffersize)
        deadline = None if timeout is None else time.monotonic() + timeout
        calls = zip(*iterables, strict=False)
        chunks = iter(lambda: list(itertools.islice(calls, chunksize)), [])
        submissions = self._submit_chunks(fn, chunks, chunksize)
        ahead = collections.deque(itertools.islice(submissions, buffersize))
        return _results(ahead, submissions, deadline)

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002 - Executor's signature
        *,
        cancel_futures: bool = False,
    ) -> None:
        """End the executor, and its run unless another one uses it; see `Executor.shutdown`.

        If Ctrl-C interrupts the waiting, the executor ends at once.
        """
        with self._lock:
            self._shut_down = True
            opened = self._lease
            futures = set(self._futures)
        if opened is not None and _inherited(opened):
            return
        if cancel_futures:
            for future in futures:
                future.cancel()
        if opened is None:
            return
        if wait:
            _release_after(futures, opened)
        else:
            threading.Thread(target=_release_after, args=(futures, opened), name="shutdown").start()

    def _abandon(self) -> None:
        """End the executor, and wait for nothing, not even for what workers compute."""
        with self._lock:
            self._shut_down = True
            futures = set(self._futures)
        for future in futures:
            future.give_up()
        self.shutdown()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut down; after any exception, Ctrl-C and SIGTERM included, wait for no call."""
        if kind is None:
            self.shutdown()
        else:
            self._abandon()

    def statistics(self) -> Statistics:
        """Return what the run has done, so far or in all, for all executors that share it."""
        with self._lock:
            opened = self._lease
        if opened is None or not opened.done() or opened.exception() is not None:
            return Statistics()
        return opened.result().run.statistics()

    def _submit_chunks(
        self, fn: Callable[..., T], chunks: Iterator[list[tuple[Any, ...]]], chunksize: int
    ) -> Iterator[TaskFuture]:
        """Submit a task for each chunk, pickling `fn` once; without a chunk, nothing is started."""
        first = list(itertools.islice(chunks, 1))
        if not first:
            return
        run = self._open_run()
        what = describe(fn)
        function, held = _split(fn)
        if held is None:
            chunk_function, shared = functools.partial(call_chunk, function, (), {}), None
        else:
            chunk_function = functools.partial(call_chunk, function)
            shared = run.share((held, {}), f"The shared arguments of {what}")
        packed = run.share(chunk_function, "Function")
        for number, chunk in enumerate(itertools.chain(first, chunks)):
            with self._lock:
                self._refuse_shut_down()
            yield self._tracked(
                run.submit(packed, (chunk,), name=f"{what}[{number * chunksize}]", shared=shared)
            )

    def _tracked(self, future: TaskFuture) -> TaskFuture:
        with self._lock:
            self._futures.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: "Future[Any]") -> None:
        with self._lock:
            self._futures.discard(cast("TaskFuture", future))

    def _open_run(self) -> Run:
        """Return the run, started by the first thread that needs it while the others wait."""
        with self._lock:
            self._refuse_shut_down()
            opened = self._lease
            if opened is None:
                mine = self._lease = Future[Lease]()
        if opened is not None:
            run = opened.result().run
            run.refuse_unless_open()
            return run
        try:
            mine.set_result(lease(self._settings, self._max_workers))
        except BaseException as error:
            with self._lock:  # the next call tries again
                self._lease = None
            mine.set_exception(error)
            raise
        with self._lock:
            self._refuse_shut_down()
        return mine.result().run

    def _refuse_shut_down(self) -> None:
        """Raise if the executor is shut down; the caller holds `_lock`."""
        if self._shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")


def _at_least_one(name: str, value: int) -> int:
    """Return a whole number of any type, numpy's for instance, as an int."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise _no_whole_number(name, value)
    return number


def _no_whole_number(name: str, value: object) -> ValueError:
    # Python's own executors say it in these words.
    return ValueError(f"{name} must be greater than 0, and a whole number; it is {value!r}.")


def _split(fn: Callable[..., Any]) -> tuple[Callable[..., Any], _Arguments | None]:
    """Split a partial into its function and the arguments it holds, unless it has placeholders."""
    placeholder = getattr(functools, "Placeholder", _split)  # new in Python 3.14
    if type(fn) is functools.partial and not any(held is placeholder for held in fn.args):
        return fn.func, (fn.args, fn.keywords)
    return fn, None


def _inherited(opened: "Future[Lease]") -> bool:
    """Return whether this process is a fork of the one whose run it is."""
    return opened.done() and opened.exception() is None and opened.result().inherited


def _release_after(futures: Iterable["TaskFuture"], opened: "Future[Lease]") -> None:
    try:
        wait(set(futures))
    except BaseException:  # Ctrl-C: nobody waits for the calls any more
        for future in futures:
            future.give_up()
        raise
    finally:
        if opened.exception() is None:  # waits for a run that is just being started
            opened.result().release()


def _results(
    ahead: "collections.deque[TaskFuture]",
    submissions: "Iterator[TaskFuture]",
    deadline: float | None,
) -> Iterator[T]:
    try:
        while ahead:
            left = None if deadline is None else deadline - time.monotonic()
            chunk: list[T] = ahead[0].result(left)
            ahead.popleft()
            ahead.extend(itertools.islice(submissions, 1))
            chunk.reverse()
            while chunk:  # whoever takes a result is the only one to hold it
                yield chunk.pop()
    finally:
        for future in ahead:
            future.give_up()  # nobody else has it
