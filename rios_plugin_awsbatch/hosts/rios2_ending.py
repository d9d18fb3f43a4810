"""How an ``apply`` of RIOS 2 ends: because RIOS says so, or early, because of an error."""

import threading

from rios.structures import WorkerErrorRecord

from .rios2_apply import Apply

__all__ = ["Ending"]


class Ending:
    """Tells all threads of an ``apply`` that it is over, and RIOS's main thread why.

    RIOS's main thread waits for the next block, and looks for errors when it has got one. So an
    error goes into RIOS's queue of errors first, and then a block that does not exist wakes the
    main thread.

    Args:
        apply: The ``apply``.
    """

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._ended = threading.Event()
        self._ending = threading.Lock()  # guards that `_ended` is set by one thread only

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended.is_set()

    def end(self) -> bool:
        """End it; return False if it was over already."""
        with self._ending:
            if self._ended.is_set():
                return False
            self._ended.set()
            return True

    def fail(self, error: Exception, kind: str) -> None:
        """End it with an error, as RIOS's own workers do; only the first one is reported.

        Args:
            error: The error.
            kind: What kind of worker RIOS says it was: "read" or "compute".
        """
        if self.end():
            self._apply.errors.put(WorkerErrorRecord(error, kind))
            self._wake_main_thread()

    def end_if_rios_failed(self) -> None:
        """End it if one of RIOS's own readers has reported an error."""
        if self._apply.errors.qsize() > 0 and self.end():
            self._wake_main_thread()

    def _wake_main_thread(self) -> None:
        self._apply.outputs.popTimeout = 0
        self._apply.outputs.nextBlockQ.put(object())
