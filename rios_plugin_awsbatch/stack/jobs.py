"""The jobs on a stack's job queues."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rios_plugin_awsbatch.aws.batch import UNFINISHED

from .records import JOB_QUEUE, Resource, Step, named, number_of

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["end_jobs", "unfinished_jobs"]


def unfinished_jobs(batch: "BatchClient", resources: Sequence[Resource]) -> dict[str, str]:
    """Return the state of each job that has not ended, by its id.

    Args:
        batch: The client.
        resources: The stack's resources; queues that were deleted by hand count as empty.
    """
    queues = named(resources, JOB_QUEUE)
    return _unfinished(batch, [queue for queue in queues if _queue_status(batch, queue)])


def end_jobs(
    batch: "BatchClient",
    resources: Sequence[Resource],
    *,
    reason: str,
    poll_seconds: float,
    patience: float,
) -> Iterator[Step]:
    """Disable the stack's job queues and end the jobs on them.

    Args:
        batch: The client.
        resources: The stack's resources.
        reason: Why, for Batch's record of the jobs.
        poll_seconds: How often to ask.
        patience: Seconds to wait for the jobs to end, and for a queue to settle.

    Yields:
        How many jobs are ended, and how many have not ended in time.
    """
    queues = [
        queue
        for queue in named(resources, JOB_QUEUE)
        if _settled(batch, queue, poll_seconds, patience)
    ]
    for queue in queues:
        batch.update_job_queue(jobQueue=queue, state="DISABLED")  # takes no new jobs
    jobs = _unfinished(batch, queues)
    for job in jobs:
        batch.terminate_job(jobId=job, reason=reason)
    if jobs:
        yield Step(f"Ending {number_of(len(jobs), 'job', 'jobs')}")
    deadline = time.monotonic() + patience
    while jobs and time.monotonic() < deadline:
        time.sleep(min(poll_seconds, 1.0))
        jobs = _unfinished(batch, queues)
    if jobs:
        late = number_of(len(jobs), "job", "jobs")
        yield Step(f"Not ended after {patience:g} s: {late}; going on")
    for queue in queues:
        _settled(batch, queue, poll_seconds, patience)  # until then Batch does not delete it


def _unfinished(batch: "BatchClient", queues: Sequence[str]) -> dict[str, str]:
    lister = batch.get_paginator("list_jobs")
    # A job whose state changes meanwhile may be listed twice: the later state counts.
    return {
        job["jobId"]: status
        for status in UNFINISHED
        for queue in queues
        for page in lister.paginate(jobQueue=queue, jobStatus=status)
        for job in page["jobSummaryList"]
    }


def _settled(batch: "BatchClient", queue: str, poll_seconds: float, patience: float) -> bool:
    """Wait until a queue can be changed or deleted; say whether it exists at all."""
    deadline = time.monotonic() + patience
    while True:
        status = _queue_status(batch, queue)
        if status not in ("CREATING", "UPDATING") or time.monotonic() >= deadline:
            return status is not None
        time.sleep(min(poll_seconds, 1.0))


def _queue_status(batch: "BatchClient", queue: str) -> str | None:
    """Return the status of a job queue; None if it does not exist."""
    found = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
    return next(
        (one["status"] for one in found if one["status"] not in ("DELETING", "DELETED")), None
    )
