"""`BatchExecutor`: a `concurrent.futures.Executor` whose workers run on AWS Batch."""

import collections
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from rios_plugin_awsbatch.run.leases import Lease, lease
from rios_plugin_awsbatch.run.run import Run
from rios_plugin_awsbatch.run.statistics import Statistics
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.wire.payload import describe

from .executor_remote import call_chunk

__all__ = ["BatchExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class BatchExecutor(Executor):
    """Calls functions on AWS Batch workers; use it as any other executor.

    Nothing is started, and nothing costs money, before the first call is submitted. Two executors with the same
    settings in one process share a run and its workers. A large array that many calls need belongs into a
    `functools.partial`: what a partial holds is stored once, kept by the workers, and fresh for each call. A function
    itself is kept as it is: what it remembers in globals or a closure, it remembers from call to call of one worker.

    Args:
        max_workers: How many workers, at least one.
        settings: The settings; if not given, they are made from `overrides` and the environment.
        overrides: Single settings, by name.

    Raises:
        ValueError: `max_workers` is no whole number of at least 1.
        TypeError: There are both settings and overrides.
        SettingsError: A setting cannot be used.
    """

    def __init__(
        self, max_workers: int, settings: Settings | None = None, **overrides: Any
    ) -> None:
        if isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1:
            raise ValueError(
                f"max_workers is {max_workers!r}; it must be a whole number of at least 1."
            )
        if settings is not None and overrides:
            raise TypeError(
                f"BatchExecutor takes settings or overrides, not both: {', '.join(overrides)}"
            )
        self._max_workers = max_workers
        self._settings = settings or load(Settings, **overrides)
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._shut_down = False
        self._futures: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Have ``fn(*args, **kwargs)`` called by a worker; see `Executor.submit`.

        Raises:
            PicklingError: The function or an argument cannot be pickled.
            StackError: The stack cannot be used.
            RuntimeError: The executor is shut down.
        """
        function, shared = _split(fn)
        run = self._open_run()
        return self._noted(run.submit(function, args, kwargs, name=describe(fn), shared=shared))

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
            iterables: As many as it takes arguments.
            timeout: Seconds until the next result must be there, from this call.
            chunksize: How many calls make one task; raise it where a call takes less than its transport.
            buffersize: How many tasks may be ahead of the results taken so far, as in Python 3.14: bounds the memory of
                main by what is not consumed. All, if not given.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize is {chunksize!r}; it must be at least 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize is {buffersize!r}; it must be at least 1.")
        deadline = None if timeout is None else time.monotonic() + timeout
        calls = zip(*iterables, strict=False)
        chunks = iter(lambda: list(itertools.islice(calls, chunksize)), [])
        submissions = self._submit_chunks(fn, chunks, chunksize)
        ahead = collections.deque(itertools.islice(submissions, buffersize))
        return _results(ahead, submissions, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's own
        """End the executor, and its run unless another executor uses it; see `Executor.shutdown`."""
        with self._lock:
            self._shut_down = True
            held, self._lease = self._lease, None
            futures = set(self._futures)
        if cancel_futures and not (held and held.inherited):
            for future in futures:
                future.cancel()
        if held is None or held.inherited:
            return
        if wait:
            _release_after(futures, held)
        else:
            threading.Thread(target=_release_after, args=(futures, held), name="shutdown").start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut down; after an exception (Ctrl-C and SIGTERM included), cancel what nobody waits for any more."""
        self.shutdown(cancel_futures=kind is not None)

    def statistics(self) -> Statistics:
        """Return what the run has done so far, for all that use it."""
        with self._lock:
            return self._lease.run.statistics() if self._lease else Statistics()

    def _submit_chunks(
        self, fn: Callable[..., T], chunks: Iterator[list[tuple[Any, ...]]], chunksize: int
    ) -> "Iterator[Future[list[T]]]":
        """Send a task for each chunk; `fn` is pickled once, and nothing is started without a chunk."""
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
            self._refuse_shut_down()
            yield self._noted(
                run.submit(packed, (chunk,), name=f"{what}[{number * chunksize}]", shared=shared)
            )

    def _noted(self, future: "Future[T]") -> "Future[T]":
        with self._lock:
            self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def _open_run(self) -> Run:
        with self._lock:
            self._refuse_shut_down()
            if self._lease is None or not self._lease.run.open:
                self._renew()
            assert self._lease is not None
            return self._lease.run

    def _refuse_shut_down(self) -> None:
        if self._shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _renew(self) -> None:
        if self._lease is not None:
            self._lease.run.refuse_unless_open()
        self._lease = lease(self._settings, self._max_workers)


def _split(
    fn: Callable[..., Any],
) -> tuple[Callable[..., Any], tuple[tuple[Any, ...], dict[str, Any]] | None]:
    """Take a partial apart: its function, and what it holds, unless that has gaps."""
    gap = getattr(functools, "Placeholder", _split)  # new in Python 3.14
    if type(fn) is functools.partial and not any(held is gap for held in fn.args):
        return fn.func, (fn.args, fn.keywords)
    return fn, None


def _release_after(futures: Iterable["Future[Any]"], held: Lease) -> None:
    wait(set(futures))
    held.release()


def _results(
    ahead: "collections.deque[Future[list[T]]]",
    submissions: "Iterator[Future[list[T]]]",
    deadline: float | None,
) -> Iterator[T]:
    try:
        while ahead:
            left = None if deadline is None else deadline - time.monotonic()
            chunk = ahead[0].result(left)
            ahead.popleft()
            ahead.extend(itertools.islice(submissions, 1))
            yield from chunk
    finally:
        for future in ahead:
            future.cancel()
