"""Workers as one AWS Batch job: submitted, watched, ended. Workers start in no other way."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.batch import ENDED, container_overrides, reason_of
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_lapse, is_passing, sentence_for
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.settings import Settings, WorkerSettings, variables
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire.exchange import Exchange

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

__all__ = [
    "JobState",
    "QueueLoad",
    "WorkerJob",
    "load_of_queue",
    "submit_workers",
    "worker_overrides",
]

# https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
ARRAY_MIN, ARRAY_MAX = 2, 10_000
LOOKED_AT: Final = 3  # of workers in the same state


@dataclasses.dataclass(frozen=True)
class JobState:
    """How the workers of one job are.

    Attributes:
        counts: How many workers are in each of Batch's states.
        reasons: Why those that failed did, each reason once.
        waiting: What Batch says about those that have not started, each reason once.
    """

    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    waiting: tuple[str, ...]

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

    def state(self, *, why_waiting: bool = False) -> JobState:
        """Ask Batch how the workers are.

        Args:
            why_waiting: Whether to ask about those of an array that wait, which is a request more.
        """
        jobs = self._batch.describe_jobs(jobs=[self.job_id])["jobs"]
        if not jobs:  # Batch forgets a job a week after its end
            return JobState({"FAILED": self.size}, (f"Batch does not know job {self.job_id}",), ())
        job: Any = jobs[0]
        if self.size < ARRAY_MIN:
            counts = {job["status"]: 1}
        else:
            counts = dict(job.get("arrayProperties", {}).get("statusSummary", {}))
            if not any(counts.values()):  # the children are not there yet
                counts = {job["status"]: self.size}
        reasons = self._reasons(job) if counts.get("FAILED") else ()
        waiting = [job]
        if why_waiting and counts.get("RUNNABLE") and self.size >= ARRAY_MIN:
            waiting += self._children("RUNNABLE")
        said = (one.get("statusReason") for one in waiting)
        return JobState(counts, reasons, tuple(dict.fromkeys(filter(None, said))))

    def _reasons(self, job: Any) -> tuple[str, ...]:
        failed = [job] if self.size < ARRAY_MIN else self._children("FAILED")
        return tuple(dict.fromkeys(reason_of(one) for one in failed))

    def _children(self, status: "JobStatusType") -> list[Any]:
        listed = self._batch.list_jobs(arrayJobId=self.job_id, jobStatus=status)
        return list(listed["jobSummaryList"])

    def some(self, status: "JobStatusType") -> list[Any]:
        """Return Batch's descriptions of a few workers in a state."""
        ids = [self.job_id]
        if self.size >= ARRAY_MIN:
            ids = [child["jobId"] for child in self._children(status)[:LOOKED_AT]]
        described = self._batch.describe_jobs(jobs=ids)["jobs"] if ids else []
        return [job for job in described if job["status"] == status]

    def terminate(self, reason: str) -> None:
        """End all workers that have not ended yet."""
        self._batch.terminate_job(jobId=self.job_id, reason=reason)


def submit_workers(
    batch: "BatchClient", stack: StackOutputs, name: str, count: int, overrides: Any
) -> Iterator[WorkerJob]:
    """Start `count` workers, as the jobs are taken from the iterator.

    Args:
        batch: The client.
        stack: Names the job queue and the job definition.
        name: The job's name.
        count: How many workers.
        overrides: The containers', from `worker_overrides`.

    Yields:
        The jobs: one, unless there are more workers than an array may have.

    Raises:
        WorkersError: Batch does not take the job.
        botocore.exceptions.BotoCoreError: Batch cannot be reached for the time being, or
            credentials have ended.
    """
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
            if is_passing(error) or is_lapse(error):
                raise
            raise WorkersError(
                f"Batch does not take the workers' job (queue {stack.job_queue}, definition "
                f"{stack.job_definition} of {stack}): {sentence_for(error)}"
            ) from error
        yield WorkerJob(batch, response["jobId"], size)
        count -= size


@dataclasses.dataclass(frozen=True)
class QueueLoad:
    """How busy a job queue is.

    Attributes:
        waiting: The ids of the jobs that wait for a place; that of an array if a child of it does.
        taken: How many jobs, or children of arrays, have a place.
    """

    waiting: frozenset[str]
    taken: int


def load_of_queue(batch: "BatchClient", job_queue: str) -> QueueLoad:
    """Ask Batch how busy a job queue is.

    An array itself stays PENDING until all its children have ended. Of many, the first hundred are
    looked at, as many as Batch describes at once.
    """
    statuses: tuple[JobStatusType, ...] = ("RUNNABLE", "PENDING", "STARTING", "RUNNING")
    listed = {
        status: {
            job["jobId"]
            for job in batch.list_jobs(jobQueue=job_queue, jobStatus=status)["jobSummaryList"]
        }
        for status in statuses
    }
    pending = sorted(listed["PENDING"])[:100]
    described: Any = batch.describe_jobs(jobs=pending)["jobs"] if pending else []
    arrays = {
        job["jobId"]: job.get("arrayProperties", {}).get("statusSummary", {}) for job in described
    }
    return QueueLoad(
        waiting=frozenset(
            [*listed["RUNNABLE"], *(name for name in arrays if arrays[name].get("RUNNABLE"))]
        ),
        taken=len(listed["STARTING"] | listed["RUNNING"])
        + sum(array.get(one, 0) for array in arrays.values() for one in ("STARTING", "RUNNING")),
    )


def worker_overrides(settings: Settings, bucket: str, exchange: Exchange, secret: str) -> Any:
    """Return the container overrides of workers: their settings, as environment variables.

    Args:
        settings: Main's settings.
        bucket: The stack's bucket.
        exchange: Names the run's queues.
        secret: The run's secret.
    """
    values = {
        **settings.model_dump(),
        "bucket": bucket,
        "in_queue": exchange.tasks.url,
        "out_queue": exchange.results.url,
        "inline_limit": exchange.inline_limit,
        "run": exchange.key.run,
        "run_key": secret,
    }
    known = variables(WorkerSettings).items()
    environment = {
        names[0]: str(values[field]) for field, names in known if values[field] is not None
    }
    return container_overrides(environment, settings.vcpus, settings.memory)
