"""The tasks without an outcome: the one owner of their futures, and of whether the run is open."""

import contextlib
import dataclasses
import logging
import os
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Any

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException, LackingError, RemoteError
from rios_plugin_awsbatch.records import Outcome, TaskRecord
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.lacking import lacking_in_main
from rios_plugin_awsbatch.wire.messages import Failure, Measures, Result

from .failures import exception_from
from .roster import Roster
from .statistics import Totals

__all__ = ["Pending", "TaskFuture"]

log = logging.getLogger(__name__)


class TaskFuture(Future[Any]):
    """The future of a task's result.

    Attributes:
        record: What became of the task; None before it has an outcome.
    """

    def __init__(self) -> None:
        super().__init__()
        self.record: TaskRecord | None = None

    def give_up(self) -> None:
        """Cancel it; if a worker computes the task already, wait for it no more."""
        if not self.cancel():
            with contextlib.suppress(InvalidStateError):  # it may just have got its result
                self.set_exception(CancelledError())


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is known of a task before it has an outcome."""

    number: int
    name: str
    sent: float
    size: int
    future: TaskFuture


class Pending:
    """Tasks on their way, from `add` to their outcome; the first outcome counts.

    Args:
        exchange: Unpacks results.
        roster: Knows the requests and the reasons of workers.
        totals: Adds up the records.
    """

    def __init__(self, exchange: Exchange, roster: Roster, totals: Totals) -> None:
        self._exchange = exchange
        self._roster = roster
        self._totals = totals
        self._run = exchange.key.run
        self._owner = os.getpid()
        self._changed = threading.Condition()  # guards all that follows
        self._tasks: dict[int, _Task] = {}
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
            self._tasks[number] = _Task(number, name, time.time(), size, future)
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

    def settle(self, reply: Result | Failure) -> None:
        """Give a task the outcome that a worker announces."""
        requests = self._roster.note_requests(reply.worker, reply.requests)
        task = self._taken(reply.task)
        if task is None:
            log.debug("run=%s task=%d came back once more; ignored", self._run, reply.task)
            return
        value, error = _unpacked(reply, task.name, self._exchange, self._roster.reasons)
        outcome: Outcome = "done" if isinstance(reply, Result) else reply.reason
        self._finish(
            task,
            _record(self._run, task, outcome, reply.worker, reply.measures, requests),
            value,
            error,
        )

    def fail(self, number: int, error: Exception) -> None:
        """Give a task an error of main's own: it cannot be sent, or the run is broken."""
        task = self._taken(number)
        if task is not None:
            self._finish(task, _record(self._run, task, "failed"), None, error)

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

    def _taken(self, number: int) -> _Task | None:
        """Take a task out, to give it its outcome; None if it has one, or was cancelled."""
        with self._changed:
            task = self._tasks.pop(number, None)
        if task is None or task.future.set_running_or_notify_cancel():
            return task
        self._tell(task, _record(self._run, task, "cancelled"))
        return None

    def _forget(self, number: int, future: "Future[Any]") -> None:
        """Expect a task no more whose future was cancelled or given up."""
        with self._changed:
            task = self._tasks.pop(number, None)
            self._abandoned = self._abandoned or task is not None
        if task is None:  # it has its outcome
            return
        if future.cancelled():
            future.set_running_or_notify_cancel()
        self._tell(task, _record(self._run, task, "cancelled"))

    def _finish(self, task: _Task, record: TaskRecord, value: Any, error: Exception | None) -> None:
        self._totals.note(record)
        task.future.record = record
        try:
            if error is None:
                task.future.set_result(value)
            else:
                task.future.set_exception(error)
        except InvalidStateError:  # it was given up at this moment
            return
        except BaseException:  # sys.exit in a user's callback must not end a thread of the run
            log.exception("run=%s task=%d a callback of its future failed", self._run, task.number)
        self._tell(task, record)

    def _tell(self, task: _Task, record: TaskRecord) -> None:
        task.future.record = record
        hooks.call("rios_awsbatch_task_done", record)


def _unpacked(
    reply: Result | Failure, task: str, exchange: Exchange, reasons: tuple[str, ...]
) -> tuple[Any, Exception | None]:
    """Return the value or the error that a reply stands for."""
    try:
        if isinstance(reply, Failure):
            return None, exception_from(reply, task, exchange, reasons)
        return _value(reply, task, exchange.unpack(reply.payload)), None
    except Exception as error:  # noqa: BLE001 - it is the task's outcome
        return None, error


def _value(reply: Result, task: str, pickled: bytes) -> Any:
    """Return the value of a result.

    Raises:
        Exception: Main cannot unpickle it; the message says so, and what to do.
    """
    try:
        return payload.loads(pickled)
    except LackingError as error:
        raise lacking_in_main(error, task, reply.libraries.get(error.library)) from None
    except AWSBatchException:
        raise
    except BaseException as error:  # unpickling may import what calls sys.exit
        raise RemoteError(
            f"The result of {task} cannot be unpickled here, though worker {reply.worker} has "
            f"pickled it: {type(error).__name__}: {error}"
        ) from error


def _record(  # noqa: PLR0913, PLR0917 - what is known, from three sides
    run: str,
    task: _Task,
    outcome: Outcome,
    worker: str = "",
    measures: Measures | None = None,
    requests: int = 0,
) -> TaskRecord:
    seen = measures or Measures(attempt=0)
    return TaskRecord(
        run=run,
        task=task.number,
        name=task.name,
        worker=worker,
        attempt=seen.attempt,
        sent=task.sent,
        bytes_in=task.size,
        bytes_out=seen.bytes_out,
        requests=requests,
        outcome=outcome,
        **vars(seen.measured),
    )
