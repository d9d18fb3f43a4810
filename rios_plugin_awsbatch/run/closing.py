"""Something is closed once: one thread does it, and others wait for it."""

import threading
from collections.abc import Callable

__all__ = ["Closing"]


class Closing:
    """Lets the first thread close, and every other one wait until that is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards `_closer`
        self._closer: int | None = None
        self._done = threading.Event()

    def call(self, close: Callable[[], None]) -> None:
        """Call `close`, or wait for the thread that does so."""
        with self._lock:
            first = self._closer is None
            if first:
                self._closer = threading.get_ident()
            mine = self._closer == threading.get_ident()
        if first:
            try:
                close()
            finally:
                self._done.set()
        elif not mine:  # else this is the handler of a signal that has interrupted `close`
            self._done.wait()
