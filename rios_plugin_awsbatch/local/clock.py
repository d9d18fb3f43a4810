"""The clock of the embedded AWS, which tests may put forward where hours matter."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Clock", "Timer"]

_IDLE_SECONDS: Final = 3600.0


class Timer:
    """A call to come.

    Args:
        function: What to call, in the clock's thread; it must not wait.
        given: Its arguments.
    """

    def __init__(self, function: Callable[..., object], given: tuple[Any, ...]) -> None:
        self._function = function
        self._given = given
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Do not call it any more."""
        self._cancelled.set()

    def fire(self) -> None:
        """Call it, unless it has been cancelled."""
        if not self._cancelled.is_set():
            self._function(*self._given)


class Clock:
    """Monotonic time, in seconds, with whatever it has been put forward.

    Threads: its own, ``clock``, which calls what is due. It starts with the first timer.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards all that follows
        self._ahead = 0.0
        self._due: list[tuple[float, int, Timer]] = []  # a heap
        self._turn = itertools.count()
        self._thread: threading.Thread | None = None

    def now(self) -> float:
        """Return the time."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        with self._changed:
            self._ahead += seconds
            self._changed.notify()

    def call_later(self, seconds: float, function: Callable[..., object], *given: Any) -> Timer:
        """Call a function after so many seconds of this clock, in the clock's thread."""
        timer = Timer(function, given)
        with self._changed:
            heapq.heappush(self._due, (self.now() + seconds, next(self._turn), timer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
                self._thread.start()
            self._changed.notify()
        return timer

    def _run(self) -> None:
        while True:
            self._next().fire()

    def _next(self) -> Timer:
        with self._changed:
            while not self._due or self._due[0][0] > self.now():
                left = self._due[0][0] - self.now() if self._due else _IDLE_SECONDS
                self._changed.wait(max(left, 0.0))
            return heapq.heappop(self._due)[2]
