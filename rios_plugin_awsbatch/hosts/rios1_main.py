"""Blocks of RIOS 1.4 that main computes itself: the first of each round, and quick ones."""

import time
from typing import Any, Final

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.records import MAIN, Outcome, TaskRecord
from rios_plugin_awsbatch.wire import payload

from .rios1_remote import BlockFunction, block_name, split_job

__all__ = ["compute_here"]

_NO_TASK: Final = -1


def compute_here(
    function: BlockFunction, job_info: Any, run: str, *, copied: bool, watched: bool = False
) -> tuple[Any, TaskRecord]:
    """Compute a block in this process, and call the hooks with its record.

    Args:
        function: Calls the user's function.
        job_info: The block's job info.
        run: The id of the run; empty if there is none yet.
        copied: Whether the function gets a copy of everything, as in a worker, or the script's own
            objects, as without a job manager.
        watched: See `BlockFunction`.

    Returns:
        The block's outputs and its record.

    Raises:
        PicklingError: The job info or the otherargs cannot be pickled.
    """
    begun, start = time.time(), time.perf_counter()
    arguments = _copy_of(job_info) if copied else (job_info,)
    outcome: Outcome = "raised"
    try:
        outputs = function(*arguments, watched=watched)
        outcome = "done"
    finally:
        seconds = time.perf_counter() - start
        record = _record(run, block_name(job_info), begun, seconds, outcome)
        hooks.call("rios_awsbatch_task_done", record)
    return outputs, record


def _record(run: str, name: str, begun: float, seconds: float, outcome: Outcome) -> TaskRecord:
    return TaskRecord(
        run=run,
        task=_NO_TASK,
        name=name,
        blocks=1,
        worker=MAIN,
        attempt=1,
        sent=begun,
        begun=begun,
        seconds=seconds,
        bytes_in=0,
        bytes_out=0,
        requests=0,
        outcome=outcome,
    )


def _copy_of(job_info: Any) -> tuple[Any, ...]:
    """Return the arguments for a `BlockFunction`, pickled and unpickled as for a worker."""
    task, otherargs = split_job(job_info.prepareForPickling())
    arguments = (task,) if otherargs is None else (otherargs, task)
    pickled = payload.dumps(arguments, f"An argument of {block_name(task)}")
    copy: tuple[Any, ...] = payload.loads(pickled)
    return copy
