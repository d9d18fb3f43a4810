"""The end of a run: one thread closes it, others wait for that, and the workers are dismissed."""

import threading
from collections.abc import Callable
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Stop

from .pending import Pending
from .roster import Roster
from .workforce import Workforce

__all__ = ["Closing", "dismiss"]

STOP_SECONDS: Final = 3.0
GIVEN_QUEUES_SECONDS: Final = 30.0


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


def dismiss(
    exchange: Exchange, pending: Pending, roster: Roster, workforce: Workforce, *, wait: bool
) -> None:
    """Tell the workers to stop; end them at once if nobody waits for what they do.

    Args:
        exchange: Has the queue of tasks.
        pending: Whether tasks were abandoned.
        roster: Who is there.
        workforce: Their jobs.
        wait: Whether the last word of a worker that has just started must not reach the queue's
            next run.
    """
    run = exchange.key.run
    abandoned = pending.abandoned
    # Also if they are ended at once: a worker that waits for tasks then leaves the queue in
    # order, and takes none with it.
    with attempted(run, "tell the workers to stop", queue_may_be_gone=True):
        exchange.tasks.send([exchange.encode(Stop())] * roster.present)
    workforce.end(0 if abandoned else STOP_SECONDS)
    if wait:
        workforce.wait_until_ended(GIVEN_QUEUES_SECONDS)
