"""Steps that may fail: the error is logged, and the next step is taken."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator

from .errors import is_missing_queue, sentence_for

__all__ = ["attempt_all", "attempted"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def attempted(
    identity: str, what: str, *, kind: str = "run", queue_may_be_gone: bool = False
) -> Iterator[None]:
    """Log an error instead of raising it.

    Args:
        identity: The id of the run or whatever else it concerns.
        what: What is attempted, "delete the run's objects" for instance.
        kind: What `identity` names: a run, a submission, a job or a bucket.
        queue_may_be_gone: Whether a queue that does not exist is nothing to tell.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        gone = queue_may_be_gone and is_missing_queue(error)
        level = logging.DEBUG if gone else logging.WARNING
        log.log(level, "%s=%s could not %s: %s", kind, identity, what, sentence_for(error))


def attempt_all(identity: str, steps: Iterable[tuple[str, Callable[[], object]]]) -> bool:
    """Take all steps of an end. An interrupt ends the step it meets, and is raised after the last.

    Args:
        identity: The run's id.
        steps: What each one does, for the log, and the step.

    Returns:
        Whether every step succeeded.

    Raises:
        BaseException: The first interrupt (Ctrl-C, or a signal's SystemExit).
    """
    interrupt: BaseException | None = None
    succeeded = True
    for what, step in steps:
        done = False
        try:
            with attempted(identity, what):
                step()
                done = True
        except BaseException as error:  # noqa: BLE001 - raised below
            interrupt = interrupt or error
        succeeded = succeeded and done
    if interrupt is not None:
        raise interrupt
    return succeeded
