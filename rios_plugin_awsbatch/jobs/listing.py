"""The jobs of a stack: listed, found, described, cancelled."""

import dataclasses
import datetime as dt
import functools
import re
import time
from typing import Any, Final, Literal, TypeAlias

from rios_plugin_awsbatch.aws.batch import ENDED, STATES, UNKNOWN_SECONDS
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.aws.names import name_of, run_of_job
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

from .sweep import sweep_submission_of

__all__ = ["JobLine", "cancel", "describe", "find", "listed"]

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:\d+)?")
_SHORTEST: Final = 4  # characters of an id's beginning
_PERHAPS_NEW_SECONDS, _PAUSE_SECONDS = 3.0, 0.5

Kind: TypeAlias = Literal["main", "workers", "other"]


@dataclasses.dataclass(frozen=True)
class JobLine:
    """A job as a list shows it.

    Attributes:
        job_id: Batch's id.
        name: Its name.
        kind: Whether it is a main script, workers, or something else on the same queue.
        status: Batch's status of it; for an array, how many of its jobs are in which state.
        size: How many jobs it is; more than one for an array.
        created: When it was submitted.
        seconds: How long it has been running, or ran; None if it has not started.
        reason: Batch's reason for its status; empty if it succeeded.
    """

    job_id: str
    name: str
    kind: Kind
    status: str
    size: int
    created: dt.datetime
    seconds: float | None
    reason: str


def listed(
    clients: Clients, stack: StackOutputs, *, ended_within: float | None = None
) -> list[JobLine]:
    """Return the jobs on the stack's queues, the newest first.

    Args:
        clients: The AWS clients.
        stack: The stack.
        ended_within: Leave out jobs that ended more than so many seconds ago; None for all.

    Raises:
        SubmissionError: AWS does not answer.
    """
    oldest = None if ended_within is None else (time.time() - ended_within) * 1000
    with explained(SubmissionError, f"Cannot list the jobs of {stack}"):
        pages = clients.batch.get_paginator("list_jobs")
        found: list[tuple[str, Any]] = [
            (queue, job)
            for queue in stack.queues
            for state in STATES
            for page in pages.paginate(jobQueue=queue, jobStatus=state)
            for job in page["jobSummaryList"]
        ]
    # A job that changes its state meanwhile is listed twice: the later state counts.
    by_id = {
        job["jobId"]: (queue, job)
        for queue, job in found
        if oldest is None or job.get("stoppedAt", oldest) >= oldest
    }
    lines = [_line(job, queue, stack) for queue, job in by_id.values()]
    return sorted(lines, key=lambda line: line.created, reverse=True)


def find(clients: Clients, stack: StackOutputs, wanted: str) -> str:
    """Return the id of a job.

    Args:
        clients: The AWS clients.
        stack: The stack.
        wanted: Its id, the beginning of its id, or its name.

    Raises:
        SubmissionError: There is none, or more than one.
    """
    if _ID.fullmatch(wanted):
        return wanted
    matching = [
        line.job_id
        for line in listed(clients, stack)
        if line.name == wanted or (len(wanted) >= _SHORTEST and line.job_id.startswith(wanted))
    ]
    if not matching:
        raise SubmissionError(
            f"There is no job {wanted} on the queues of {stack}; `rios-awsbatch jobs --all` lists "
            "all jobs."
        )
    if len(matching) > 1:
        raise SubmissionError(
            f"{wanted} is ambiguous: there are jobs {', '.join(matching)}. Give one of these ids."
        )
    return matching[0]


def describe(
    clients: Clients,
    stack: StackOutputs,
    job_id: str,
    patience: Patience | None = None,
    *,
    new: bool = False,
) -> Any:
    """Return Batch's description of a job of this stack.

    Batch may not describe a job that it has just taken: it is asked again for a moment.

    Args:
        clients: The AWS clients.
        stack: The stack.
        job_id: Batch's id of the job.
        patience: Waits out an outage; without it, an outage is an error.
        new: Whether the job is known to exist: then it is asked for longer.

    Raises:
        SubmissionError: There is no such job, it belongs to another stack, or AWS does not answer.
    """
    request = functools.partial(clients.batch.describe_jobs, jobs=[job_id])
    deadline = time.monotonic() + (UNKNOWN_SECONDS if new else _PERHAPS_NEW_SECONDS)
    while True:
        with explained(SubmissionError, f"Cannot look at job {job_id}"):
            jobs: list[Any] = (patience.call(request) if patience else request())["jobs"]
        if jobs or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    if not jobs:
        raise SubmissionError(
            f"Batch does not know job {job_id}; it forgets a job some days after its end."
        )
    queue = jobs[0]["jobQueue"]
    if name_of(queue) not in map(name_of, stack.queues):
        raise SubmissionError(
            f"Job {job_id} is on queue {queue}, which does not belong to {stack}."
        )
    return jobs[0]


def cancel(clients: Clients, stack: StackOutputs, job_id: str) -> bool:
    """End a job, whatever its state; a main script ends its run and workers in order.

    Returns:
        Whether there was something to end.

    Raises:
        SubmissionError: There is no such job, it belongs to another stack, or AWS does not answer.
    """
    if describe(clients, stack, job_id)["status"] in ENDED:
        return False
    with explained(SubmissionError, f"Cannot cancel job {job_id}"):
        clients.batch.terminate_job(jobId=job_id, reason="Cancelled by rios-awsbatch cancel")
    sweep_submission_of(clients, stack.bucket, job_id)
    return True


def _line(job: Any, queue: str, stack: StackOutputs) -> JobLine:
    seconds = None
    if job.get("startedAt"):
        seconds = job.get("stoppedAt", time.time() * 1000) / 1000 - job["startedAt"] / 1000
    return JobLine(
        job_id=job["jobId"],
        name=job["jobName"],
        kind=_kind(job, queue, stack),
        status=_status(job),
        size=job.get("arrayProperties", {}).get("size") or 1,
        created=dt.datetime.fromtimestamp(job["createdAt"] / 1000, dt.timezone.utc),
        seconds=seconds,
        reason="" if job["status"] == "SUCCEEDED" else job.get("statusReason", ""),
    )


def _kind(job: Any, queue: str, stack: StackOutputs) -> Kind:
    if run_of_job(job["jobName"]) is not None:
        return "workers"
    definition = name_of(job.get("jobDefinition", ""))
    if not definition:  # AWS leaves it out (aws/aws-sdk#588)
        return "main" if queue == stack.main_queue != stack.job_queue else "other"
    main, script = name_of(stack.main_definition), name_of(stack.script_definition)
    # `definition_for` names the copy for another image after the main definition.
    if definition in {main, script or main} or definition.startswith(f"{main}-"):
        return "main"
    return "workers" if definition == name_of(stack.job_definition) else "other"


def _status(job: Any) -> str:
    """Return a job's status, or those of an array's jobs: it is PENDING until all have ended."""
    counts = job.get("arrayProperties", {}).get("statusSummary", {})
    begun = [f"{counts[state]} {state}" for state in STATES if counts.get(state)]
    return ", ".join(begun) if begun and job["status"] not in ENDED else str(job["status"])
