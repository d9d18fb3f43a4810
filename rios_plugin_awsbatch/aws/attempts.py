"""Steps that may fail: the error is logged, and the next step is taken."""

import contextlib
import logging
from collections.abc import Iterator

from .errors import is_missing_queue, sentence_for

__all__ = ["attempted"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def attempted(run_id: str, what: str, *, queue_may_be_gone: bool = False) -> Iterator[None]:
    """Log an error instead of raising it.

    Args:
        run_id: The run's id.
        what: What is attempted, "delete the run's objects" for instance.
        queue_may_be_gone: Whether a queue that does not exist is nothing to tell.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        gone = queue_may_be_gone and is_missing_queue(error)
        level = logging.DEBUG if gone else logging.WARNING
        log.log(level, "run=%s could not %s: %s", run_id, what, sentence_for(error))
