"""Workers as one AWS Batch job: submitted, watched, ended. There is no other way in which workers start."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .awserrors import AWS_ERRORS, sentence_for
from .errors import WorkersError
from .stack import StackOutputs

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["ENDED", "JobState", "WorkerJob", "advice_for", "container_overrides", "submit_workers"]

# https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
ARRAY_MIN, ARRAY_MAX = 2, 10_000
ENDED: Final = {"SUCCEEDED", "FAILED"}  # the states in which a job is over


@dataclasses.dataclass(frozen=True)
class JobState:
    """How the workers of one job are.

    Attributes:
        counts: How many workers are in each of Batch's states.
        reasons: Why those that failed did, each reason once.
        waiting: What Batch says about those that have not started.
    """

    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    waiting: str

    @property
    def unfinished(self) -> int:
        """How many may still work."""
        return sum(number for status, number in self.counts.items() if status not in ENDED)

    @property
    def failed(self) -> int:
        """How many ended with an error."""
        return self.counts.get("FAILED", 0)


class WorkerJob:
    """A submitted job of one or more workers.

    Args:
        batch: The client.
        job_id: Batch's id of the job.
        size: How many workers it has.
    """

    def __init__(self, batch: "BatchClient", job_id: str, size: int) -> None:
        self._batch = batch
        self.job_id = job_id
        self.size = size

    def state(self) -> JobState:
        """Ask Batch how the workers are."""
        jobs = self._batch.describe_jobs(jobs=[self.job_id])["jobs"]
        if not jobs:  # Batch forgets a job a week after its end
            return JobState({"FAILED": self.size}, (f"Batch does not know job {self.job_id}",), "")
        job: Any = jobs[0]
        if self.size < ARRAY_MIN:
            counts = {job["status"]: 1}
        else:
            counts = dict(job.get("arrayProperties", {}).get("statusSummary", {}))
            if not any(counts.values()):  # the children are not there yet
                counts = {job["status"]: self.size}
        reasons = self._reasons(job) if counts.get("FAILED") else ()
        return JobState(counts, reasons, job.get("statusReason", ""))

    def _reasons(self, job: Any) -> tuple[str, ...]:
        failed = [job]
        if self.size >= ARRAY_MIN:
            failed = list(self._batch.list_jobs(arrayJobId=self.job_id, jobStatus="FAILED")["jobSummaryList"])
        return tuple(dict.fromkeys(_reason(one) for one in failed))

    def terminate(self, reason: str) -> None:
        """End all workers that have not ended yet."""
        self._batch.terminate_job(jobId=self.job_id, reason=reason)


def submit_workers(batch: "BatchClient", stack: StackOutputs, name: str, count: int, overrides: Any) -> list[WorkerJob]:
    """Start `count` workers.

    Args:
        batch: The client.
        stack: Names the job queue and the job definition.
        name: The job's name.
        count: How many workers.
        overrides: The containers', from `container_overrides`.

    Returns:
        The jobs: one, unless there are more workers than an array may have.

    Raises:
        WorkersError: Batch does not take the job.
    """
    jobs = []
    while count > 0:
        size = min(count, ARRAY_MAX)
        if 0 < count - size < ARRAY_MIN:
            size -= 1
        array: Any = {"arrayProperties": {"size": size}} if size >= ARRAY_MIN else {}
        try:
            response = batch.submit_job(
                jobName=name,
                jobQueue=stack.job_queue,
                jobDefinition=stack.job_definition,
                containerOverrides=overrides,
                **array,
            )
        except AWS_ERRORS as error:
            raise WorkersError(
                f"Batch does not take the workers' job (queue {stack.job_queue}, definition {stack.job_definition} of "
                f"stack {stack.stack}): {sentence_for(error)}"
            ) from error
        jobs.append(WorkerJob(batch, response["jobId"], size))
        count -= size
    return jobs


def container_overrides(environment: Mapping[str, str], vcpus: float | None, memory: int | None) -> Any:
    """Return what workers have that their job definition does not say.

    Args:
        environment: What their settings are made from.
        vcpus: Their vCPUs, if not the job definition's.
        memory: Their memory in MiB, if not the job definition's.
    """
    wanted = {"VCPU": None if vcpus is None else f"{vcpus:g}", "MEMORY": None if memory is None else str(memory)}
    requirements = [{"type": kind, "value": value} for kind, value in wanted.items() if value is not None]
    return {
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        **({"resourceRequirements": requirements} if requirements else {}),
    }


def advice_for(reason: str) -> str:
    """Say what to do about a reason that Batch gives."""
    if "CannotPull" in reason or "pull image" in reason:
        return (
            "The image cannot be pulled: push it to the stack's repository, or correct its name in the job definition."
        )
    if "ResourceInitializationError" in reason:
        return (
            "The job could not be set up before its container began, mostly because its subnets have no way to ECR and "
            "CloudWatch: give jobs public addresses, or the subnets a NAT gateway or endpoints."
        )
    if "OutOfMemory" in reason or "memory usage" in reason:
        return "The container ran out of memory: give the job definition more, or make the blocks smaller."
    if "RESOURCE" in reason or "MISCONFIGURATION" in reason:
        return "The compute environment cannot run such a job: compare vcpus and memory with its instance types."
    return "The workers' log streams in the log group of the job definition tell more."


def _reason(job: Any) -> str:
    container = job.get("container", {})
    parts = [job.get("statusReason", ""), container.get("reason", "")]
    if container.get("exitCode") is not None:
        parts.append(f"exit code {container['exitCode']}")
    return "; ".join(part for part in parts if part) or "Batch gives no reason"
