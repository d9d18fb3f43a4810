"""Workers start no workers: code that a worker computes is told so, however it asks for some."""

import os
from typing import Final

from .errors import WorkersError

__all__ = ["RUN", "in_worker", "refuse_in_worker"]

RUN: Final = "RIOS_AWSBATCH_RUN"  # set in a worker, and in what a task starts


def in_worker() -> bool:
    """Say whether this process computes tasks, or was started by a task."""
    return bool(os.environ.get(RUN))


def refuse_in_worker() -> None:
    """Raise an error in a worker.

    Raises:
        WorkersError: This is a worker.
    """
    if in_worker():
        raise WorkersError(
            "Workers start no workers, and this code runs in a task of run "
            f"{os.environ[RUN]}: compute it here without BatchExecutor and without RIOS's AWSBatch "
            "and CW_AWSBATCH, or start its tasks in the main script."
        )
