"""DescribeJobs' and ListJobs' answers; to be made while the scheduler keeps jobs unchanged."""

from collections.abc import Mapping
from typing import Any

from .job_requests import require
from .jobs import STATES, Attempt, Job, given

__all__ = ["described", "passes", "summary"]


def described(job: Job, tags: Mapping[str, str], lag: float = 0.0) -> dict[str, Any]:
    """Return what DescribeJobs says of a job; the summary of children is so many seconds late."""
    spec = job.spec
    variables = [{"name": name, "value": value} for name, value in spec.environment.items()]
    container = {
        **spec.described["container"],
        "command": list(spec.command),
        "environment": variables,
        **(_container(job.latest) if job.latest is not None else {}),
    }
    return {
        **spec.described,
        **summary(job, lag),
        "jobQueue": spec.queue,
        "dependsOn": [],
        "tags": dict(tags),
        "attempts": [_attempt(attempt) for attempt in job.attempts if attempt.stopped is not None],
        "container": container,
    }


def summary(job: Job, lag: float = 0.0) -> dict[str, Any]:
    """Return what ListJobs says of a job; the summary of children is so many seconds late."""
    latest = job.latest
    return {
        "jobId": job.id,
        "jobArn": job.arn,
        "jobName": job.spec.name,
        "jobDefinition": job.spec.definition,
        "createdAt": job.created,
        "status": job.status,
        **given(
            statusReason=job.status_reason,
            startedAt=latest.started if latest is not None else None,
            stoppedAt=job.stopped,
            container=_outcome(latest) or None if latest is not None else None,
            arrayProperties=_array_properties(job, lag) or None,
        ),
    }


def passes(job: Job, wanted: Mapping[str, Any]) -> bool:
    """Say whether a job passes one of ListJobs' filters.

    Raises:
        ClientException: The embedded AWS does not have this filter.
    """
    require(wanted["name"] == "JOB_NAME", "The embedded AWS filters jobs by JOB_NAME only")
    name = job.spec.name.lower()
    values = [value.lower() for value in wanted["values"]]
    return any(
        name.startswith(value[:-1]) if value.endswith("*") else name == value for value in values
    )


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "container": _container(attempt),
        "statusReason": attempt.outcome.status_reason,
        **given(startedAt=attempt.started, stoppedAt=attempt.stopped),
    }


def _container(attempt: Attempt) -> dict[str, Any]:
    return {"logStreamName": attempt.log_stream, **_outcome(attempt)}


def _outcome(attempt: Attempt) -> dict[str, Any]:
    return given(exitCode=attempt.outcome.exit_code, reason=attempt.outcome.reason)


def _array_properties(job: Job, lag: float) -> dict[str, Any]:
    if job.index is not None:
        return {"index": job.index}
    if not job.children:
        return {}
    counts = dict.fromkeys(STATES, 0)
    for child in job.children:
        counts[child.status_before(lag)] += 1
    return {"size": len(job.children), "statusSummary": counts}
