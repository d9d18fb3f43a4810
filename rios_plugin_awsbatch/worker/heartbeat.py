"""Keeps the tasks that a worker holds from other workers."""

import threading

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.wire.exchange import Exchange

from .inflight import InFlight

__all__ = ["Heartbeat"]


class Heartbeat:
    """Extends the visibility time-out of held tasks, in a thread of its own.

    Args:
        exchange: Has the queue of tasks.
        in_flight: The tasks that are held.
        visibility: Seconds for which each extension keeps them from other workers.
        ended: Ends the thread.
    """

    def __init__(
        self, exchange: Exchange, in_flight: InFlight, visibility: int, ended: threading.Event
    ) -> None:
        self._exchange = exchange
        self._in_flight = in_flight
        self._visibility = visibility
        self._ended = ended
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _loop(self) -> None:
        while not self._ended.wait(self._visibility / 3):
            receipts = [held.receipt for held in self._in_flight.held()]
            with attempted(
                self._exchange.key.run, "extend the visibility of tasks", queue_may_be_gone=True
            ):
                self._exchange.tasks.extend(receipts, self._visibility)
