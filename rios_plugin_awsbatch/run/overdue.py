"""Tasks whose messages were lost are sent again: a thread that looks when nothing happens.

A message may be lost though SQS has taken it: somebody purges the queue, or deletes what is not
theirs. Then nobody computes the task, and nobody says so. If nothing happens for a while, main asks
both queues how many messages they hold. If that is none at two looks, no worker holds a task, and
what main waits for is lost. A worker that computes has its task's message in the queue, invisible,
or says again and again that it keeps the task. While results come, nothing is asked.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.errors import TaskLostError
from rios_plugin_awsbatch.settings import Settings
from rios_plugin_awsbatch.wire.exchange import Exchange

from .pending import Pending
from .sender import Sender
from .tasks import OutgoingTask
from .transit import Transit

__all__ = ["Overdue"]

log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 5.0
LOOKS: Final = 4  # within the visibility time-out
# A worker that keeps a task says so at least three times within the visibility time-out.
SILENT_TIMES: Final = 3


class Overdue:
    """Sends lost tasks again, a bounded number of times.

    Args:
        exchange: The queues.
        pending: Takes the error of a task that is given up.
        transit: The tasks.
        sender: Sends them.
        flush: Deletes the messages that main has handled, so that they are not counted.
        settings: Nothing must have happened for a visibility time-out, and again between two
            looks; a task is sent again as often as it may be attempted.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what the run's threads share
        self,
        exchange: Exchange,
        pending: Pending,
        transit: Transit,
        sender: Sender,
        flush: Callable[[], None],
        settings: Settings,
    ) -> None:
        self._exchange = exchange
        self._pending = pending
        self._transit = transit
        self._sender = sender
        self._flush = flush
        self._visibility = settings.visibility_timeout
        self._most = settings.max_attempts
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="overdue", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _loop(self) -> None:
        empty_since: float | None = None
        while not self._closed.wait(self._visibility / LOOKS):
            overdue = self._transit.overdue(self._visibility, SILENT_TIMES * self._visibility)
            now = time.monotonic()
            if not overdue or not self._queues_are_empty():
                empty_since = None
            elif empty_since is None:
                empty_since = now
            elif now - empty_since >= self._visibility:
                empty_since = None
                self._send_again(overdue)

    def _queues_are_empty(self) -> bool:
        try:
            self._flush()
            return not self._exchange.tasks.count() and not self._exchange.results.count()
        except Exception as error:  # noqa: BLE001 - it looks again soon
            if not self._closed.is_set():
                run = self._exchange.key.run
                log.debug("run=%s cannot look for lost tasks: %s", run, sentence_for(error))
            return False

    def _send_again(self, overdue: list[OutgoingTask]) -> None:
        log.warning(
            "run=%s the messages of tasks were lost (%d); sending them again",
            self._exchange.key.run,
            len(overdue),
        )
        for task in overdue:
            if self._closed.is_set():
                return
            times = self._transit.count_again(task.number)
            if times <= self._most:
                self._sender.put_again(task)
                continue
            sentence = (
                f"{task.name}: its message was lost {times} times: the queue "
                f"{self._exchange.tasks.url} is empty, and no worker has it. Look for who else "
                "receives from that queue, or purges it."
            )
            self._pending.fail(task.number, TaskLostError(sentence))
