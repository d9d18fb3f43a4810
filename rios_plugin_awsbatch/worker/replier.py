"""From the worker to main: results are stored and sent, then the tasks' messages are deleted."""

import contextlib
import logging
import queue
import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Failure, Result
from rios_plugin_awsbatch.wire.queue import BATCH_ENTRIES

from .answers import Answers, Outcome, Withheld
from .inflight import HeldTask, InFlight

__all__ = ["Replier"]

log = logging.getLogger(__name__)

# Deletions wait so long for others to share a request with them.
DELETE_LINGER_SECONDS: Final = 2.0
# Few: a worker whose network is slower than its functions must not fill its memory.
WAITING: Final = 4
LAST_PUT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5


class Replier:
    """Replies to tasks, in a thread of its own.

    Args:
        exchange: The run's queues and store.
        answers: Makes and sends the replies.
        in_flight: Holds the tasks until they are answered.
        worker: The worker's name.
        visibility: Seconds for which a task's message stays invisible after it was extended.
    """

    def __init__(
        self,
        exchange: Exchange,
        answers: Answers,
        in_flight: InFlight,
        worker: str,
        visibility: float,
    ) -> None:
        self._exchange = exchange
        self._answers = answers
        self._in_flight = in_flight
        self._run = exchange.key.run
        self._worker = worker
        # The last extension leaves two thirds of the visibility time-out at least.
        self._longest_linger = visibility / 6
        self._outcomes: queue.Queue[tuple[HeldTask, Outcome] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._loop, name="replier", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, held: HeldTask, outcome: Outcome) -> None:
        """Tell main a task's outcome soon; waits while several wait already.

        If the worker is interrupted meanwhile, the outcome is dropped: its task is still held.
        """
        while True:
            with contextlib.suppress(queue.Full):
                self._outcomes.put((held, outcome), timeout=_LOOK_SECONDS)
                return
            if self._in_flight.interrupted:
                return

    def close(self, seconds: float) -> None:
        """Wait until everything is sent, for so many seconds at most once it has begun."""
        with contextlib.suppress(queue.Full):
            self._outcomes.put(None, timeout=LAST_PUT_SECONDS)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _loop(self) -> None:
        done: list[str] = []  # receipts of tasks that main has the outcomes of
        due = oldest = time.monotonic()
        more = True
        while more:
            waiting = self._waiting(due - time.monotonic() if done else None)
            more = None not in waiting
            sent = self._send([item for item in waiting if item is not None])
            now = time.monotonic()
            if not done:
                oldest = now
            if sent:
                due = min(now + DELETE_LINGER_SECONDS, oldest + self._longest_linger)
            done += sent
            if len(done) >= BATCH_ENTRIES or not more or now >= due:
                self._delete(done)
                done = []

    def _waiting(self, timeout: float | None) -> list[tuple[HeldTask, Outcome] | None]:
        """Return all outcomes that wait; none if none comes within `timeout` seconds."""
        waiting: list[tuple[HeldTask, Outcome] | None] = []
        with contextlib.suppress(queue.Empty):
            waiting.append(self._outcomes.get(timeout=None if timeout is None else max(timeout, 0)))
            while len(waiting) < BATCH_ENTRIES:
                waiting.append(self._outcomes.get_nowait())
        return waiting

    def _send(self, outcomes: list[tuple[HeldTask, Outcome]]) -> list[str]:
        """Send replies; return the receipts of the tasks that are done with."""
        tasks = [held for held, _ in outcomes]
        try:
            # If this fails, SQS hands the tasks out again.
            with attempted(self._run, "send results", queue_may_be_gone=True):
                replies = self._replies(outcomes)
                if replies:
                    begun = self._in_flight.take_begun()
                    if begun is not None:
                        told = {"computing": begun.task.task}
                        replies[-1] = replies[-1].model_copy(update=told)
                    self._answers.send(replies)
                return [held.receipt for held in tasks]
            return []
        finally:
            self._in_flight.drop(tasks)

    def _replies(self, outcomes: list[tuple[HeldTask, Outcome]]) -> list[Result | Failure]:
        replies = []
        for held, outcome in outcomes:
            if not isinstance(outcome, Withheld):
                reply = self._answers.reply_to(held, outcome)
                self._log_task(held, reply)
                replies.append(reply)
        return replies

    def _delete(self, receipts: list[str]) -> None:
        # If this fails, the tasks are computed once more, and main ignores the results.
        with attempted(self._run, "delete task messages", queue_may_be_gone=True):
            self._exchange.tasks.delete(receipts)

    def _log_task(self, held: HeldTask, reply: Result | Failure) -> None:
        measures = reply.measures
        log.info(
            "run=%s task=%d block=%r worker=%s attempt=%d seconds=%.3f bytes_in=%d bytes_out=%d %s",
            self._run,
            reply.task,
            held.task.name,
            self._worker,
            measures.attempt,
            measures.measured.seconds,
            measures.bytes_in,
            measures.bytes_out,
            reply.reason if isinstance(reply, Failure) else "done",
        )
