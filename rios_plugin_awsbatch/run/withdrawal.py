"""Tasks that nobody waits for are withdrawn: from the queue, and from the workers' hands.

SQS deletes no message that was not received, and purging a queue also takes what is sent within
the next minute. So main receives what it has to withdraw, as a worker would, and deletes it. It
also tells workers in an object in the bucket which tasks nobody waits for::

    a future is cancelled --> note --> withdrawer (1) --> S3: the object ``withdrawn``
                                          |
                                          '--> sweepers (0 to 4) --> SQS tasks: receive, delete

A worker looks there before it begins a task, if its tasks take long (worker/withdrawals.py). If
few of the tasks in the queue are concerned, main leaves it to the workers.
"""

import itertools
import logging
import threading
import time
from collections.abc import Iterable
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.errors import MessageError
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Task, Withdrawn
from rios_plugin_awsbatch.wire.queue import BATCH_ENTRIES, Received

from .threads import RequestThreads

__all__ = ["Withdrawal"]

log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.05  # for more, which are cancelled together
SWEEPERS: Final = 4
# The queue is swept if at least one in so many of its tasks is to go.
SPARSE: Final = 10
SWEEP_VISIBILITY: Final = 30
FRUITLESS: Final = 2  # receives in a row, with nothing to withdraw, after which a sweeper ends
MOST_RANGES: Final = 10_000
CLOSE_SECONDS: Final = 5.0


class Withdrawal:
    """Withdraws tasks in threads of its own.

    Args:
        exchange: The queue and the bucket.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._run = exchange.key.run
        self._closed = threading.Event()
        self._withdrawer = RequestThreads("withdrawer", 1)
        self._sweepers = RequestThreads("sweeper of tasks", SWEEPERS)
        self._changing = threading.Lock()  # guards all that follows
        self._numbers: set[int] = set()  # of tasks that may still be in the queue
        self._due = False
        self._sweeping = 0

    def note(self, number: int) -> None:
        """Withdraw a task soon."""
        with self._changing:
            self._numbers.add(number)
            if self._due or self._closed.is_set():
                return
            self._due = True
        self._withdrawer.call(self._withdraw)

    def close(self) -> None:
        """End, and hold no message any more."""
        self._closed.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        self._withdrawer.close(deadline)
        self._sweepers.close(deadline)

    def _withdraw(self) -> None:
        self._closed.wait(GATHER_SECONDS)
        with self._changing:
            self._due = False
            ranges = _ranges(self._numbers)
        if self._closed.is_set():
            return
        for _ in range(SWEEPERS):
            self._start_sweeper()
        with attempted(self._run, "tell workers what is cancelled"):
            self._exchange.put_withdrawn(Withdrawn(ranges=ranges[-MOST_RANGES:]))

    def _start_sweeper(self) -> None:
        with self._changing:
            if self._sweeping >= SWEEPERS:
                return
            self._sweeping += 1
        self._sweepers.call(self._sweep)

    # Sweepers

    def _sweep(self) -> None:
        try:
            with attempted(self._run, "withdraw tasks", queue_may_be_gone=True):
                self._sweep_queue()
        finally:
            with self._changing:
                self._sweeping -= 1

    def _sweep_queue(self) -> None:
        fruitless = seen = found = 0
        while fruitless < FRUITLESS and not self._closed.is_set():
            with self._changing:
                if not self._numbers:
                    return
            received = self._exchange.tasks.receive(
                BATCH_ENTRIES, wait=1, visibility=SWEEP_VISIBILITY
            )
            withdrawn = self._sort(received)
            seen, found = seen + len(received), found + withdrawn
            fruitless = 0 if withdrawn else fruitless + 1
            if seen >= 2 * SPARSE and found * SPARSE < seen:
                return  # workers withhold them

    def _sort(self, received: list[Received]) -> int:
        """Delete what nobody waits for, and hand back the rest; return how many were deleted.

        What is no task of the run becomes visible again by itself.
        """
        tasks = [(message, self._task_in(message)) for message in received]
        with self._changing:
            gone = {m.receipt: t.task for m, t in tasks if t and t.task in self._numbers}
        others = [(m, t) for m, t in tasks if m.receipt not in gone]
        # A message that only became visible again would count as one that a worker has lost.
        anew = [
            t.model_copy(update={"vanished": t.vanished + m.attempts - 1}) for m, t in others if t
        ]
        self._exchange.tasks.send([self._exchange.encode(task) for task in anew])
        self._exchange.tasks.delete([*gone, *(m.receipt for m, t in others if t)])
        with self._changing:
            self._numbers.difference_update(gone.values())
        return len(gone)

    def _task_in(self, message: Received) -> Task | None:
        try:
            content = self._exchange.decode(message.body)
        except MessageError:
            return None
        return content if isinstance(content, Task) else None


def _ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the ranges that `numbers` make, in order."""
    ranges = []
    for _, group in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        ranges.append((members[0], members[-1]))
    return tuple(ranges)
