"""What a worker's failure becomes in main: an exception, with the worker's traceback as its cause."""

import logging

from . import errors, payload
from .errors import AWSBatchException, RemoteError, TaskLostError, WorkerTraceback
from .exchange import Exchange
from .messages import Failure

__all__ = ["exception_from"]

log = logging.getLogger(__name__)


def exception_from(failure: Failure, exchange: Exchange, batch_reasons: str) -> Exception:
    """Return the exception that `failure` stands for.

    Args:
        failure: What the worker said.
        exchange: Has the pickled exception, if there is one.
        batch_reasons: Why workers failed, as Batch tells it.
    """
    place = f"worker {failure.worker}, {failure.versions}"
    if failure.reason == "lost":
        batch = f" Batch says: {batch_reasons}." if batch_reasons else ""
        return TaskLostError(f"{failure.text}{batch} [{place}]")
    if failure.reason == "refused":
        kind: type[AWSBatchException] = getattr(errors, failure.error.rpartition(".")[2], AWSBatchException)
        return kind(f"{failure.text} [{place}]")
    error = _unpickled(failure, exchange) or RemoteError(f"{failure.error}: {failure.text}")
    error.__cause__ = WorkerTraceback(f"{failure.traceback.rstrip()}\n[{place}]")
    return error


def _unpickled(failure: Failure, exchange: Exchange) -> Exception | None:
    """Return the user's own exception; None if it is no plain exception, or its class is not to be had here."""
    if failure.exception is None:
        return None
    try:
        error = payload.loads(exchange.unpack(failure.exception))
    except BaseException as problem:  # noqa: BLE001 - unpickling runs the class's own code
        log.debug("run=%s an exception cannot be unpickled: %s", exchange.key.run, problem)
        return None
    # SystemExit would end main without a word.
    return error if isinstance(error, Exception) else None
