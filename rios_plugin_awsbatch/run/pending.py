"""The tasks without an outcome: the one owner of their futures, and of whether the run is open."""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.records import Outcome
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Begun, Failure, Result

from .outcomes import finish, record_of, tell, unpacked
from .roster import Roster
from .statistics import Totals
from .tasks import PendingTask, TaskFuture
from .transit import Transit

__all__ = ["Pending", "TaskFuture"]

log = logging.getLogger(__name__)


class Pending:
    """Tasks on their way, from `add` to their outcome; the first outcome counts.

    Args:
        exchange: Unpacks results.
        roster: Knows the requests and the reasons of workers.
        totals: Adds up the records.
        transit: Knows the tasks as long as this does.
        withdraw: Called with the number of a task that nobody waits for any more.
    """

    def __init__(
        self,
        exchange: Exchange,
        roster: Roster,
        totals: Totals,
        transit: Transit,
        withdraw: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._exchange = exchange
        self._roster = roster
        self._totals = totals
        self._transit = transit
        self._withdraw = withdraw
        self._run = exchange.key.run
        self._owner = os.getpid()
        self._changed = threading.Condition()  # guards all that follows
        self._tasks: dict[int, PendingTask] = {}
        self._numbers = 0
        self._broken: Exception | None = None
        self._closing = False
        self._abandoned = False

    def __len__(self) -> int:
        with self._changed:
            return len(self._tasks)

    @property
    def open(self) -> bool:
        """Whether tasks can be added."""
        if os.getpid() != self._owner:  # first: a thread of the parent's may have held the lock
            return False
        with self._changed:
            return not self._closing and self._broken is None

    @property
    def closing(self) -> bool:
        """Whether the run ends."""
        with self._changed:
            return self._closing

    @property
    def broken(self) -> Exception | None:
        """What broke the run."""
        with self._changed:
            return self._broken

    @property
    def abandoned(self) -> bool:
        """Whether workers may be busy with what nobody waits for."""
        with self._changed:
            return self._abandoned

    def refuse_unless_open(self) -> None:
        """Raise what broke the run, or that it is closed."""
        if os.getpid() != self._owner:  # first: a thread of the parent's may have held the lock
            raise AWSBatchException(
                f"Run {self._run} belongs to process {self._owner}, of which this one is a fork; "
                "make an executor here."
            )
        with self._changed:
            self._refuse_unless_open()

    def _refuse_unless_open(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise AWSBatchException(f"Run {self._run} is closed; it takes no more tasks.")

    def add(self, name: str, size: int) -> tuple[int, TaskFuture]:
        """Expect a task.

        Args:
            name: What users call it.
            size: Bytes of its arguments.

        Returns:
            Its number and its future.

        Raises:
            AWSBatchException: The run is over, or what broke it.
        """
        future = TaskFuture()
        with self._changed:
            self._refuse_unless_open()
            number = self._numbers
            self._numbers += 1
            self._tasks[number] = PendingTask(number, name, time.time(), size, future)
            self._transit.expect(number)
            self._changed.notify_all()
        future.add_done_callback(lambda done: self._forget(number, done))
        return number, future

    def wanted(self, number: int) -> bool:
        """Say whether anybody still waits for a task."""
        with self._changed:
            return not self._closing and number in self._tasks

    def wait_until_expecting(self) -> bool:
        """Wait until a message may come; return False if none will any more.

        It may be a result or, while the run closes, a worker's goodbye.
        """
        with self._changed:
            while not self._tasks and not self._closing:
                self._changed.wait()
            closing = self._closing
        return not closing or self._roster.present > 0

    def begin(self, begun: Begun) -> None:
        """Take note that a worker computes a task: its future cannot be cancelled any more."""
        self._roster.note_requests(begun.worker, begun.requests)
        self._transit.note_begun(begun)
        with self._changed:
            if begun.task in self._tasks:  # if it was just cancelled, `_forget` does the rest
                self._tasks[begun.task].start()

    def settle(self, reply: Result | Failure) -> None:
        """Give a task the outcome that a worker announces."""
        requests = self._roster.note_reply(reply.worker, reply.requests)
        if reply.computing is not None:
            self.begin(Begun(task=reply.computing, worker=reply.worker))
        task = self._taken(reply.task)
        if task is None:
            log.debug("run=%s task=%d came back once more; ignored", self._run, reply.task)
            return
        value, error = unpacked(reply, task.name, self._exchange, self._roster.reasons)
        outcome: Outcome = "done" if isinstance(reply, Result) else reply.reason
        record = record_of(self._run, task, outcome, reply.worker, reply.measures, requests)
        finish(task, record, value, error, self._totals)

    def fail(self, number: int, error: Exception) -> None:
        """Give a task an error of main's own: it cannot be sent, or the run is broken."""
        task = self._taken(number)
        if task is not None:
            finish(task, record_of(self._run, task, "failed"), None, error, self._totals)

    def fail_all(self, error: Exception) -> None:
        """Break the run: every task that has not come back gets `error`."""
        with self._changed:
            if self._closing or self._broken is not None:
                return
            self._broken = error
            self._abandoned = True
            numbers = list(self._tasks)
        log.error("run=%s %s", self._run, sentence_for(error))
        for number in numbers:
            self.fail(number, error)

    def close(self) -> bool:
        """Take no more tasks, and cancel the others; return False if that was done before."""
        with self._changed:
            if self._closing:
                return False
            self._closing = True
            left = list(self._tasks.values())
            self._abandoned = self._abandoned or bool(left)
            self._changed.notify_all()
        for task in left:
            task.future.give_up()  # which lets `_forget` do the rest
        return True

    def _taken(self, number: int) -> PendingTask | None:
        """Take a task out, to give it its outcome; None if it has one, or was cancelled."""
        with self._changed:
            task = self._popped(number)
            if task is None or task.start():
                return task
        tell(task, record_of(self._run, task, "cancelled"))
        return None

    def _popped(self, number: int) -> PendingTask | None:
        """Take a task out; the caller holds the lock."""
        task = self._tasks.pop(number, None)
        self._transit.forget(number)
        return task

    def _forget(self, number: int, future: "Future[Any]") -> None:
        """Expect a task no more whose future was cancelled or given up."""
        with self._changed:
            task = self._popped(number)
            self._abandoned = self._abandoned or task is not None
            closing = self._closing
            if task is None:  # it has its outcome
                return
            if future.cancelled():
                task.start()
        if not closing:
            self._withdraw(number)
        tell(task, record_of(self._run, task, "cancelled"))
