"""Daemon threads for requests, started when they are needed."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable

__all__ = ["RequestThreads"]

log = logging.getLogger(__name__)


class RequestThreads:
    """Up to `most` daemon threads that make calls, in the order in which they are given.

    Not a ThreadPoolExecutor: Python joins its threads before it runs `atexit` functions, and one of
    those ends the run, which still needs its threads then.

    Args:
        name: What the threads are called.
        most: How many there may be.
        room: How many calls may be unfinished before `call` waits; any number, if not given.
    """

    def __init__(self, name: str, most: int, room: float = math.inf) -> None:
        self._name = name
        self._most = most
        self._room = room
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()  # guards `_threads`, `_unfinished` and `_closed`
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        self._closed = False

    @property
    def unfinished(self) -> int:
        """How many calls have been given and have not ended."""
        with self._changed:
            return self._unfinished

    def call(self, function: Callable[[], None]) -> None:
        """Have `function` called soon; not any more once `close` was called."""
        with self._changed:
            while self._unfinished >= self._room and not self._closed:
                self._changed.wait()
            if self._closed:
                return
            self._unfinished += 1
            self._calls.put(function)
            if len(self._threads) < min(self._unfinished, self._most):
                self._start_thread()
            alone = not self._threads
        if alone:
            self._make(self._calls.get())

    def close(self, deadline: float) -> None:
        """Take no more calls, and wait for the threads to make those that they have.

        Args:
            deadline: When to wait no longer, by the monotonic clock.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = list(self._threads)
        for _ in threads:
            self._calls.put(None)
        for thread in threads:
            if thread is not threading.current_thread():  # a future's callback may end the run
                thread.join(max(deadline - time.monotonic(), 0))

    def _start_thread(self) -> None:
        """Start one more thread; the caller holds the lock."""
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Python 3.12.0 and 3.12.1 start none in `atexit` functions
            log.debug("thread %s cannot be started", self._name)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while (function := self._calls.get()) is not None:
            self._make(function)
            del function  # what it holds must not be kept while this thread waits

    def _make(self, function: Callable[[], None] | None) -> None:
        try:
            if function is not None:
                function()
        except BaseException:  # a user's callback may call sys.exit; the thread must live
            log.exception("a call of thread %s failed", self._name)
        finally:
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()
