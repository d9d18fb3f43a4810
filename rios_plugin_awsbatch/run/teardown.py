"""Steps to take at an end, all of them: one that fails is logged, and the next is taken."""

import contextlib
import logging
from collections.abc import Iterator

from rios_plugin_awsbatch.aws.errors import sentence_for

__all__ = ["attempted"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def attempted(run_id: str, what: str) -> Iterator[None]:
    """Log an error instead of raising it.

    Args:
        run_id: The run's id.
        what: What is attempted, "delete the run's objects" for instance.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("run=%s could not %s: %s", run_id, what, sentence_for(error))
