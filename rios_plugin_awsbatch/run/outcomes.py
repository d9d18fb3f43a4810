"""From a worker's reply to the outcome of a task: the value or the error, and the record."""

import logging
from concurrent.futures import InvalidStateError
from typing import Any

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.errors import AWSBatchException, LackingError, RemoteError
from rios_plugin_awsbatch.records import Outcome, TaskRecord
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.lacking import lacking_in_main
from rios_plugin_awsbatch.wire.messages import Failure, Measures, Result

from .failures import exception_from
from .statistics import Totals
from .tasks import PendingTask

__all__ = ["finish", "record_of", "tell", "unpacked"]

log = logging.getLogger(__name__)


def unpacked(
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


def record_of(  # noqa: PLR0913, PLR0917 - what is known, from three sides
    run: str,
    task: PendingTask,
    outcome: Outcome,
    worker: str = "",
    measures: Measures | None = None,
    requests: int = 0,
) -> TaskRecord:
    """Return the record of a task that has its outcome."""
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


def finish(
    task: PendingTask, record: TaskRecord, value: Any, error: Exception | None, totals: Totals
) -> None:
    """Give a task's future its value, or the error if there is one, and note its record."""
    totals.note(record)
    task.future.record = record
    try:
        if error is None:
            task.future.set_result(value)
        else:
            task.future.set_exception(error)
    except InvalidStateError:  # it was given up at this moment
        return
    except BaseException:  # sys.exit in a user's callback must not end a thread of the run
        log.exception("run=%s task=%d a callback of its future failed", record.run, task.number)
    tell(task, record)


def tell(task: PendingTask, record: TaskRecord) -> None:
    """Tell what became of a task."""
    task.future.record = record
    hooks.call("rios_awsbatch_task_done", record)
