"""Keeps the tasks that a worker holds from other workers, and tells main what it computes."""

import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, is_passing
from rios_plugin_awsbatch.wire.exchange import Exchange

from .answers import Answers
from .inflight import HeldTask, InFlight

__all__ = ["Heartbeat"]

# SQS hides a message for twelve hours in all from its receive, however often that is extended:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
LONGEST_SECONDS: Final = 12 * 3600 - 300
BEGUN_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.5


class Heartbeat:
    """Extends the visibility time-out of held tasks, in a thread of its own.

    If that is no longer possible for the task that is being computed, because twelve hours are
    over for instance, the worker keeps it: it tells main so, and deletes the message, which would
    bring other workers to compute the same. Main then relies on what the worker says again and
    again, and sends the task anew when it falls silent.

    Args:
        exchange: Has the queue of tasks.
        in_flight: The tasks that are held.
        answers: Tell main.
        visibility: Seconds for which each extension keeps them from other workers.
        ended: Ends the thread.
    """

    def __init__(
        self,
        exchange: Exchange,
        in_flight: InFlight,
        answers: Answers,
        visibility: int,
        ended: threading.Event,
    ) -> None:
        self._exchange = exchange
        self._in_flight = in_flight
        self._answers = answers
        self._visibility = visibility
        self._ended = ended
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _loop(self) -> None:
        run, interval = self._exchange.key.run, self._visibility / 3
        due = time.monotonic() + interval
        while not self._ended.wait(max(min(due - time.monotonic(), LOOK_SECONDS), 0)):
            begun = self._in_flight.take_begun(BEGUN_SECONDS)
            if begun is not None:
                with attempted(run, "tell that a task is begun", queue_may_be_gone=True):
                    self._answers.tell_begun(begun)
            if time.monotonic() >= due:
                with attempted(run, "extend the visibility of tasks", queue_may_be_gone=True):
                    self._beat()
                due = time.monotonic() + interval

    def _beat(self) -> None:
        current = self._in_flight.current
        if current is not None and self._in_flight.is_kept(current):
            self._answers.tell_begun(current, kept=True)
        held = [one for one in self._in_flight.held() if not self._in_flight.is_kept(one)]
        latest = time.monotonic() + self._visibility - LONGEST_SECONDS
        old = {one.receipt for one in held if one.received <= latest}
        refused = self._extend([one.receipt for one in held if one.receipt not in old]) | old
        current = self._in_flight.current
        if current is not None and current.receipt in refused:
            self._keep(current)
        self._in_flight.lose(refused)

    def _extend(self, receipts: list[str]) -> set[str]:
        """Extend the visibility; return the receipts that SQS refuses."""
        try:
            return set(self._exchange.tasks.extend(receipts, self._visibility))
        except AWS_ERRORS as error:
            if is_passing(error) or is_missing_queue(error):
                raise
            return set(receipts)

    def _keep(self, held: HeldTask) -> None:
        self._answers.tell_begun(held, kept=True)
        self._in_flight.keep(held)
        self._exchange.tasks.delete([held.receipt])
