"""A worker's failure becomes an exception in main, with the worker's traceback as its cause."""

import itertools
import linecache
import logging
import re
from typing import Final

from rios_plugin_awsbatch import errors
from rios_plugin_awsbatch.errors import (
    AWSBatchException,
    LackingError,
    RemoteError,
    TaskLostError,
    WorkerTraceback,
)
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.lacking import lacking_in_worker
from rios_plugin_awsbatch.wire.messages import Failure

__all__ = ["exception_from", "with_source"]

log = logging.getLogger(__name__)

# A frame in a traceback's text; those of exceptions in a group stand behind "  | ".
_FRAME: Final = re.compile(r'(?P<indent>[ |]*  )File "(?P<file>[^"]+)", line (?P<line>\d+)')


def exception_from(
    failure: Failure, task: str, exchange: Exchange, batch_reasons: tuple[str, ...]
) -> Exception:
    """Return the exception that `failure` stands for.

    Args:
        failure: What the worker said.
        task: The task's name.
        exchange: Has the pickled exception, if there is one.
        batch_reasons: Why workers failed, as Batch tells it.
    """
    place = f"worker {failure.worker}, {failure.versions}"
    if failure.reason == "lost":
        batch = f" Batch says: {' | '.join(batch_reasons)}." if batch_reasons else ""
        lost = TaskLostError(f"{failure.text}{batch} [{place}]")
        if failure.traceback:
            lost.__cause__ = WorkerTraceback(f"{with_source(failure.traceback)}\n[{place}]")
        return lost
    if failure.reason == "refused":
        kind: type[AWSBatchException] = getattr(
            errors, failure.error.rpartition(".")[2], AWSBatchException
        )
        return kind(f"{failure.text} [{place}]")
    error = _unpickled(failure, exchange) or RemoteError(f"{failure.error}: {failure.text}")
    if isinstance(error, LackingError):
        error = lacking_in_worker(error, task)
    error.__cause__ = WorkerTraceback(f"{with_source(failure.traceback).rstrip()}\n[{place}]")
    return error


def _unpickled(failure: Failure, exchange: Exchange) -> Exception | None:
    """Return the user's own exception; None if it is none, or cannot be unpickled here."""
    if failure.exception is None:
        return None
    try:
        error = payload.loads(exchange.unpack(failure.exception))
    except BaseException as problem:  # noqa: BLE001 - unpickling runs the class's own code
        log.debug("run=%s an exception cannot be unpickled: %s", exchange.key.run, problem)
        return None
    # SystemExit would end main without a word.
    return error if isinstance(error, Exception) else None


def with_source(traceback: str) -> str:
    """Add the source lines that a worker could not show to its traceback.

    Main has the script on its disk, the worker does not.

    Args:
        traceback: As the worker formatted it.

    Returns:
        The same, with the line of source below each frame, if main can find it.
    """
    lines = traceback.splitlines()
    completed: list[str] = []
    for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        completed.append(line)
        frame = _FRAME.match(line)
        if frame is None or following.startswith(f"{frame['indent']}  "):
            continue
        source = linecache.getline(frame["file"], int(frame["line"])).strip()
        if source:
            completed.append(f"{frame['indent']}  {source}")
    return "\n".join(completed)
