"""Workers as one AWS Batch job, and the job queue that they are on, as Batch tells of them."""

import dataclasses
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import (
    ENDED,
    UNFINISHED,
    UNKNOWN_SECONDS,
    container_overrides,
    machine_was_lost,
    reason_of,
)
from rios_plugin_awsbatch.settings import Settings, WorkerSettings, variables
from rios_plugin_awsbatch.wire.exchange import Exchange

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

__all__ = [
    "JobState",
    "QueueLoad",
    "WorkerJob",
    "load_of_queue",
    "worker_overrides",
]

# https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
ARRAY_MIN, ARRAY_MAX = 2, 10_000
LOOKED_AT: Final = 3  # of workers in the same state
DESCRIBED_SECONDS, DESCRIBE_PAUSE = 5.0, 0.5  # until Batch describes a new job, mostly


@dataclasses.dataclass(frozen=True)
class JobState:
    """How the workers of one job are.

    Attributes:
        counts: How many workers are in each of Batch's states.
        reasons: Why those that failed did, each reason once.
        waiting: What Batch says about those that have not started, each reason once.
        reclaimed: How many of those that failed have lost their machine, as far as Batch tells.
    """

    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    waiting: tuple[str, ...]
    reclaimed: int = 0

    @property
    def unfinished(self) -> int:
        """How many may still work."""
        return sum(number for status, number in self.counts.items() if status not in ENDED)

    @property
    def failed(self) -> int:
        """How many ended with an error."""
        return self.counts.get("FAILED", 0)


class WorkerJob:
    """A submitted job of one or more workers; one thread at a time asks for its state.

    Args:
        batch: The client.
        job_id: Batch's id of the job.
        size: How many workers it has.

    Attributes:
        job_id: As given.
        size: As given.
        described: Whether Batch has described it.
    """

    def __init__(self, batch: "BatchClient", job_id: str, size: int) -> None:
        self._batch = batch
        self.job_id = job_id
        self.size = size
        self.described = False
        self._known = time.monotonic()  # when Batch knew it last; at first, when it took it
        self._latest = JobState({"SUBMITTED": size}, (), ())
        self._failed: list[Any] = []  # Batch's summaries of the workers that failed

    def state(self, *, why_waiting: bool = False) -> JobState:
        """Ask Batch how the workers are.

        Args:
            why_waiting: Whether to ask about those of an array that wait, which is a request more.
        """
        jobs = self._batch.describe_jobs(jobs=[self.job_id])["jobs"]
        if jobs:
            self._known, self.described = time.monotonic(), True
            self._latest = self._state_of(jobs[0], why_waiting=why_waiting)
        elif time.monotonic() - self._known > UNKNOWN_SECONDS:
            # Batch forgets a job a week after its end.
            reason = f"Batch does not know job {self.job_id}"
            self._latest = JobState({"FAILED": self.size}, (reason,), ())
        return self._latest

    def _state_of(self, job: Any, *, why_waiting: bool) -> JobState:
        counts = {job["status"]: 1} if self.size < ARRAY_MIN else _counts(job, self.size)
        failed = self._failed_ones(job, counts.get("FAILED", 0))
        waiting = [job]
        if why_waiting and counts.get("RUNNABLE") and self.size >= ARRAY_MIN:
            waiting += self._children("RUNNABLE")
        said = (one.get("statusReason") for one in waiting)
        return JobState(
            counts,
            tuple(dict.fromkeys(reason_of(one) for one in failed)),
            tuple(dict.fromkeys(filter(None, said))),
            sum(machine_was_lost(one) for one in failed),
        )

    def _failed_ones(self, job: Any, count: int) -> list[Any]:
        """Return what Batch says of the workers that failed; it is asked when there are more."""
        if count and self.size < ARRAY_MIN:
            return [job]
        if count > len(self._failed):
            pages = self._batch.get_paginator("list_jobs").paginate(
                arrayJobId=self.job_id, jobStatus="FAILED"
            )
            self._failed = [child for page in pages for child in page["jobSummaryList"]]
        return self._failed

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

    def end(self, reason: str) -> bool:
        """End all workers that have not ended yet; say whether that is certain.

        Args:
            reason: Why, for Batch's record.
        """
        with attempted(self.job_id, "end it", kind="job"):
            self._batch.terminate_job(jobId=self.job_id, reason=reason)
            deadline = time.monotonic() + DESCRIBED_SECONDS
            while not self.described:  # Batch may not have heard of what it has just taken
                if self._batch.describe_jobs(jobs=[self.job_id])["jobs"]:
                    self._batch.terminate_job(jobId=self.job_id, reason=reason)
                    self.described = True
                elif time.monotonic() > deadline:
                    return False
                else:
                    time.sleep(DESCRIBE_PAUSE)
            return True
        return False


def _counts(job: Any, size: int) -> dict[str, int]:
    """Return how many children of an array are in each state, though Batch's sums may be late."""
    said = job.get("arrayProperties", {}).get("statusSummary", {})
    counts = {status: number for status, number in said.items() if number}
    missing = size - sum(counts.values())
    if job["status"] in ENDED:  # with its last child
        late = missing + sum(counts.pop(status, 0) for status in UNFINISHED)
        if late > 0:
            counts[job["status"]] = counts.get(job["status"], 0) + late
    elif missing > 0:  # they are not there yet
        counts[job["status"]] = counts.get(job["status"], 0) + missing
    return counts


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
