"""The jobs of a stack: found, listed, followed to their end, ended."""

import dataclasses
import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from rios_plugin_awsbatch.aws.batch import ENDED, STATES, advice_for
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, explained, is_passing, sentence_for
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

from .submit import tidy

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

__all__ = ["Ending", "JobLine", "cancel", "describe", "find", "follow", "listed", "log_lines"]

# Batch's own, unless the job definition names another one.
LOG_GROUP: Final = "/aws/batch/job"
LOOK_SECONDS: Final = 1.0
# CloudWatch shows a line a moment after it was written, also the last one of a job that has ended.
LAG_SECONDS: Final = 3.0
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:\d+)?")
_SHORTEST: Final = 4


@dataclasses.dataclass(frozen=True)
class JobLine:
    """A job as a list shows it.

    Attributes:
        job_id: Batch's id.
        name: Its name.
        kind: Whether it is a main script, or (an array of) workers, or something else on the same queue.
        status: Batch's status of it.
        size: How many jobs it is; more than one for an array.
        created: When it was submitted.
        seconds: How long it has been running, or ran.
        reason: What Batch says about its status.
    """

    job_id: str
    name: str
    kind: Literal["main", "workers", "other"]
    status: str
    size: int
    created: dt.datetime
    seconds: float | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a job ended.

    Attributes:
        status: SUCCEEDED or FAILED.
        exit_status: Its exit status; 1 if it failed without one.
        sentence: What happened, and what to do if it did not go well.
    """

    status: str
    exit_status: int
    sentence: str


def listed(
    clients: Clients, stack: StackOutputs, *, ended_within: float | None = None
) -> list[JobLine]:
    """Return the jobs on the stack's queues, the newest first.

    Args:
        clients: The AWS clients.
        stack: The stack.
        ended_within: Of those that have ended, leave out what ended longer ago, in seconds.

    Raises:
        SubmissionError: Batch does not say.
    """
    oldest = None if ended_within is None else (time.time() - ended_within) * 1000
    with explained(SubmissionError, f"Cannot list the jobs of {stack}"):
        pages = clients.batch.get_paginator("list_jobs")
        found: list[Any] = [
            job
            for queue in stack.queues
            for state in STATES
            for page in pages.paginate(jobQueue=queue, jobStatus=state)
            for job in page["jobSummaryList"]
        ]
    # A job that changes its state meanwhile is seen twice: the later state counts.
    by_id = {
        job["jobId"]: job
        for job in found
        if oldest is None or job.get("stoppedAt", oldest) >= oldest
    }
    return sorted(
        (_line(job, stack) for job in by_id.values()), key=lambda line: line.created, reverse=True
    )


def find(clients: Clients, stack: StackOutputs, wanted: str) -> str:
    """Return the id of a job, given by its id, the beginning of it, or its name.

    Raises:
        SubmissionError: There is none, or more than one.
    """
    if _ID.fullmatch(wanted):
        return wanted
    lines = listed(clients, stack)
    matching = [
        line
        for line in lines
        if line.name == wanted or (len(wanted) >= _SHORTEST and line.job_id.startswith(wanted))
    ]
    if not matching:
        raise SubmissionError(
            f"There is no job {wanted} on the queue of {stack}; `rios-awsbatch jobs --all` lists them."
        )
    if len(matching) > 1:
        ids = ", ".join(line.job_id for line in matching)
        raise SubmissionError(f"{wanted} is not clear: there are jobs {ids}. Give one of these.")
    return matching[0].job_id


def describe(clients: Clients, stack: StackOutputs, job_id: str) -> Any:
    """Return what Batch knows of a job of this stack.

    Raises:
        SubmissionError: There is no such job, or it is another stack's.
    """
    with explained(SubmissionError, f"Cannot look at job {job_id}"):
        jobs = clients.batch.describe_jobs(jobs=[job_id])["jobs"]
    if not jobs:
        raise SubmissionError(
            f"Batch does not know job {job_id}; it forgets a job some days after its end."
        )
    job: Any = jobs[0]
    if job["jobQueue"].rpartition("/")[2] not in {
        queue.rpartition("/")[2] for queue in stack.queues
    }:
        raise SubmissionError(
            f"Job {job_id} is on queue {job['jobQueue']}, which is none of {stack}."
        )
    return job


def cancel(clients: Clients, stack: StackOutputs, job_id: str) -> bool:
    """End a job, whatever its state; a main script ends its run and workers in order.

    Returns:
        Whether there was something to end.

    Raises:
        SubmissionError: There is no such job, or it is another stack's.
    """
    if describe(clients, stack, job_id)["status"] in ENDED:
        return False
    with explained(SubmissionError, f"Cannot cancel job {job_id}"):
        clients.batch.terminate_job(jobId=job_id, reason="Cancelled by rios-awsbatch cancel")
    tidy(clients, stack.bucket, ended=job_id)
    return True


def log_lines(clients: Clients, stack: StackOutputs, job_id: str) -> Iterator[str]:
    """Yield the lines that a job has logged so far, of its latest attempt.

    Raises:
        SubmissionError: There is no such job, it has not started, or CloudWatch does not say.
    """
    job = describe(clients, stack, job_id)
    _refuse_array(job)
    reader = _LogReader.of(clients, job)
    if reader is None:
        raise SubmissionError(
            f"Job {job_id} has no log yet: it is {job['status']}. {_waiting_for(job)}".rstrip()
        )
    yield from reader.new_lines()


def follow(
    clients: Clients,
    stack: StackOutputs,
    job_id: str,
    show: Callable[[str], None],
    note: Callable[[str], None],
) -> Ending:
    """Show what a job logs, until it has ended.

    Args:
        clients: The AWS clients.
        stack: The stack.
        job_id: The job.
        show: Called with each line of its log.
        note: Called with each change of its state.

    Returns:
        How it ended.

    Raises:
        SubmissionError: There is no such job.
    """
    reader: _LogReader | None = None
    seen = ""
    ended_at: float | None = None
    while True:
        job = _patiently(clients, stack, job_id)
        _refuse_array(job)
        state = f"{job['status']} {_waiting_for(job)}".rstrip()
        if state != seen and job["status"] not in ENDED:  # its end is told after its last lines
            note(f"Job {job_id} is {state}")
            seen = state
        stream = job.get("container", {}).get("logStreamName")
        if stream and (reader is None or reader.stream != stream):
            if reader is not None:
                note("Another attempt")
            reader = _LogReader.of(clients, job)
        lines = [] if reader is None else list(reader.new_lines())
        for line in lines:
            show(line)
        if job["status"] in ENDED:
            ended_at = ended_at or time.monotonic()
            if reader is None or (not lines and time.monotonic() - ended_at >= LAG_SECONDS):
                tidy(clients, stack.bucket, ended=job_id)
                return _ending(job)
        time.sleep(LOOK_SECONDS)


class _LogReader:
    """Reads a log stream on from where it was."""

    def __init__(self, logs: "CloudWatchLogsClient", group: str, stream: str) -> None:
        self.stream = stream
        self._logs = logs
        self._group = group
        self._token: str | None = None

    @classmethod
    def of(cls, clients: Clients, job: Any) -> "_LogReader | None":
        container = job.get("container", {})
        stream = container.get("logStreamName")
        if not stream:
            return None
        options = container.get("logConfiguration", {}).get("options", {})
        return cls(
            clients.logs(options.get("awslogs-region")),
            options.get("awslogs-group", LOG_GROUP),
            stream,
        )

    def new_lines(self) -> Iterator[str]:
        """Yield what has been added."""
        while True:
            more: Any = {} if self._token is None else {"nextToken": self._token}
            try:
                answer = self._logs.get_log_events(
                    logGroupName=self._group, logStreamName=self.stream, startFromHead=True, **more
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return  # nothing has been written
            except AWS_ERRORS as error:
                if is_passing(error):
                    return
                raise SubmissionError(
                    f"Cannot read log stream {self.stream} of {self._group}: {sentence_for(error)}"
                ) from error
            for event in answer["events"]:
                yield event["message"]
            if answer["nextForwardToken"] == self._token:
                return
            self._token = answer["nextForwardToken"]


def _patiently(clients: Clients, stack: StackOutputs, job_id: str) -> Any:
    """Describe a job, through outages as long as they last: whoever follows can leave at any time."""
    while True:
        try:
            return describe(clients, stack, job_id)
        except SubmissionError as error:
            if error.__cause__ is None or not is_passing(error.__cause__):  # type: ignore[arg-type]  # boto3's, all of them
                raise
            time.sleep(LOOK_SECONDS)


def _refuse_array(job: Any) -> None:
    size = job.get("arrayProperties", {}).get("size")
    if size:
        raise SubmissionError(
            f"Job {job['jobId']} is an array of {size} workers, each of which has a log of its own: "
            f"{job['jobId']}:0 to {job['jobId']}:{size - 1}."
        )


def _waiting_for(job: Any) -> str:
    return (
        f"({job['statusReason']})" if job.get("statusReason") and job["status"] not in ENDED else ""
    )


def _ending(job: Any) -> Ending:
    container = job.get("container", {})
    code = container.get("exitCode")
    if job["status"] == "SUCCEEDED":
        return Ending("SUCCEEDED", 0, f"Job {job['jobId']} succeeded.")
    reason = (
        "; ".join(filter(None, [job.get("statusReason"), container.get("reason")]))
        or "Batch gives no reason"
    )
    if code is None:
        return Ending("FAILED", 1, f"Job {job['jobId']} failed: {reason}. {advice_for(reason)}")
    known = advice_for(reason) if "OutOfMemory" in reason else ""
    sentence = f"Job {job['jobId']} failed with exit status {code}: {reason}. {known}".rstrip()
    return Ending("FAILED", code or 1, sentence)


def _line(job: Any, stack: StackOutputs) -> JobLine:
    definition, worker, main, script = (
        name.rpartition("/")[2].partition(":")[0]
        for name in (
            job.get("jobDefinition", ""),
            stack.job_definition,
            stack.main_definition,
            stack.script_definition or stack.main_definition,
        )
    )
    kind: Literal["main", "workers", "other"] = "other"
    if definition in {main, script} or definition.startswith(f"{main}-"):
        kind = "main"
    elif definition == worker:
        kind = "workers"
    seconds = None
    if job.get("startedAt"):
        seconds = job.get("stoppedAt", time.time() * 1000) / 1000 - job["startedAt"] / 1000
    return JobLine(
        job_id=job["jobId"],
        name=job["jobName"],
        kind=kind,
        status=_status(job),
        size=job.get("arrayProperties", {}).get("size") or 1,
        created=dt.datetime.fromtimestamp(job["createdAt"] / 1000, dt.timezone.utc),
        seconds=seconds,
        reason="" if job["status"] == "SUCCEEDED" else job.get("statusReason", ""),
    )


def _status(job: Any) -> str:
    """Return the status of a job, or of an array's children: the array itself waits until all of them have ended."""
    counts = job.get("arrayProperties", {}).get("statusSummary", {})
    begun = [f"{counts[state]} {state}" for state in STATES if counts.get(state)]
    return ", ".join(begun) if begun and job["status"] not in ENDED else str(job["status"])
