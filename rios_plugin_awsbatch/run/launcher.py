"""Workers are submitted: as many as asked, and all of them known, although an answer may be lost.

SubmitJob has no token by which Batch could tell a repetition. So each launch has a name of its own,
which is in the run's inventory before the job is submitted. If it is not known whether Batch has
taken the job, it is looked for by its name before it is submitted again. Afterwards, what Batch has
taken besides is ended.
"""

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import ENDED, UNKNOWN_SECONDS, jobs_named
from rios_plugin_awsbatch.aws.errors import (
    AWS_ERRORS,
    is_lapse,
    is_passing,
    is_refused,
    sentence_for,
)
from rios_plugin_awsbatch.aws.names import workers_job_name
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

from .inventory import Inventory
from .labels import labels
from .launch import ARRAY_MAX, ARRAY_MIN, WorkerJob

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["Launcher"]

log = logging.getLogger(__name__)

OUTAGE_SECONDS: Final = 120.0
LISTED_SECONDS, LIST_PAUSE = 5.0, 0.5  # until a job is listed, mostly; and between two looks


@dataclasses.dataclass
class _Doubt:
    """A launch of which not every job may be known."""

    name: str
    until: float  # when a job is listed that Batch has taken
    known: str | None = None  # the id of the job that counts
    repeated: bool = True  # whether Batch may have been asked more than once
    delivered: bool = False  # whether the caller has the job


class Launcher:
    """Submits the workers of a run.

    `launch` and `end_surplus` are called by one thread at a time; `stop` and `close` by any.

    Args:
        batch: The Batch client.
        stack: Names the job queue and the job definition.
        run_id: The run's id, which names the jobs.
        overrides: The workers' container overrides.
        inventory: Names each launch before it is made.
        submit_job: SubmitJob, best of a client that does not repeat it unseen.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is one fact about the jobs
        self,
        batch: "BatchClient",
        stack: StackOutputs,
        run_id: str,
        overrides: Any,
        inventory: Inventory,
        submit_job: Callable[..., Any],
    ) -> None:
        self._batch = batch
        self._stack = stack
        self._run_id = run_id
        self._overrides = overrides
        self._inventory = inventory
        self._submit_job = submit_job
        self._tags: Any = {"tags": labels(run_id=run_id), "propagateTags": True}
        self._ended = threading.Event()
        self._number = 1  # of the next launch
        self._doubting = threading.Lock()  # guards `_doubts`
        self._doubts: dict[str, _Doubt] = {}

    def launch(self, count: int) -> Iterator[WorkerJob]:
        """Start `count` workers, as the jobs are taken from the iterator.

        Yields:
            The jobs: one, unless there are more workers than an array may have.

        Raises:
            WorkersError: Batch does not take the job.
            botocore.exceptions.BotoCoreError: Batch cannot be reached for the time being. The next
                call goes on with the same launch.
        """
        while count > 0:
            size = min(count, ARRAY_MAX)
            if 0 < count - size < ARRAY_MIN:
                size -= 1
            name = workers_job_name(self._run_id, self._number)
            known = self._inventory.launches
            if name not in known:
                self._inventory.write(launches=[*known, name])
            job = self._launched(name, size)
            self._number += 1
            yield job
            with self._doubting:  # not before: an interrupt may lose the job on the way
                self._doubts[name].delivered = True
            count -= job.size

    def end_surplus(self) -> None:
        """End what Batch has taken besides: look once, and for a while if an answer was lost."""
        for doubt in self._open_doubts():
            if doubt.known is None:
                continue
            with attempted(self._run_id, f"look for jobs besides {doubt.known}"):
                jobs = self._jobs_of(doubt.name)
                for job in jobs:
                    if doubt.known != job["jobId"] and job["status"] not in ENDED:
                        self._end(job["jobId"], "Submitted twice")
                seen = not doubt.repeated and any(doubt.known == job["jobId"] for job in jobs)
                if seen or time.monotonic() > doubt.until:
                    with self._doubting:
                        self._doubts.pop(doubt.name, None)

    def stop(self) -> None:
        """Wait no longer for Batch to take a job."""
        self._ended.set()

    def close(self) -> None:
        """End the jobs of which only the names are known; what may be left stays in the record."""
        for doubt in self._open_doubts():
            if (doubt.repeated or not doubt.delivered) and not self._settled(doubt):
                self._inventory.keep(doubt.name)

    def _launched(self, name: str, size: int) -> WorkerJob:
        patience = Patience(outage=OUTAGE_SECONDS, ended=self._ended)
        attempt = functools.partial(self._attempt, name, size)
        try:
            job_id, taken = patience.call(attempt, what="submit the workers' job")
        except AWS_ERRORS as error:
            if is_passing(error) or is_lapse(error):
                raise
            raise WorkersError(
                f"Batch does not take the workers' job (queue {self._stack.job_queue}, definition "
                f"{self._stack.job_definition} of {self._stack}): {sentence_for(error)}"
            ) from error
        with self._doubting:
            self._doubts[name].known = job_id
        return WorkerJob(self._batch, job_id, taken)

    def _attempt(self, name: str, size: int) -> tuple[str, int]:
        """Return the id and the size of the job, which an earlier attempt may have submitted."""
        with self._doubting:
            doubtful = name in self._doubts
        if doubtful and (found := self._look_for(name)):
            log.warning("run=%s job %s had been submitted; its answer was lost", self._run_id, name)
            return found["jobId"], found.get("arrayProperties", {}).get("size") or size
        array: Any = {"arrayProperties": {"size": size}} if size >= ARRAY_MIN else {}
        with self._doubting:
            self._doubts[name] = _Doubt(name, time.monotonic() + UNKNOWN_SECONDS)
        try:
            answer = self._submit_job(
                jobName=name,
                jobQueue=self._stack.job_queue,
                jobDefinition=self._stack.job_definition,
                containerOverrides=self._overrides,
                **array,
                **self._tags,
            )
        except botocore.exceptions.ClientError as error:
            if is_refused(error) and not doubtful:
                with self._doubting:
                    self._doubts.pop(name)
            raise
        repeated = doubtful or answer.get("ResponseMetadata", {}).get("RetryAttempts")
        with self._doubting:
            self._doubts[name].repeated = bool(repeated)
        return answer["jobId"], size

    def _look_for(self, name: str) -> Any | None:
        """Return the summary of a job that may have been submitted; None if it is not listed."""
        deadline = time.monotonic() + LISTED_SECONDS
        while True:
            jobs = self._jobs_of(name)
            if jobs:
                return min(jobs, key=lambda job: (job["status"] in ENDED, job["createdAt"]))
            if time.monotonic() > deadline or self._ended.wait(LIST_PAUSE):
                return None

    def _settled(self, doubt: _Doubt) -> bool:
        """End all jobs of a name; say whether one was there, and all that were are ended."""
        deadline = time.monotonic() + LISTED_SECONDS
        with attempted(self._run_id, f"end jobs named {doubt.name}"):
            while not (jobs := self._jobs_of(doubt.name)):
                if time.monotonic() > deadline:
                    return False
                time.sleep(LIST_PAUSE)
            for job in jobs:
                if job["status"] not in ENDED:
                    self._batch.terminate_job(
                        jobId=job["jobId"], reason=f"Run {self._run_id} is over"
                    )
            return True
        return False

    def _end(self, job_id: str, reason: str) -> None:
        log.warning("run=%s ends job %s: %s", self._run_id, job_id, reason.lower())
        with attempted(self._run_id, f"end job {job_id}"):
            self._batch.terminate_job(jobId=job_id, reason=reason)

    def _jobs_of(self, name: str) -> list[Any]:
        # The filter takes no notice of case.
        found = jobs_named(self._batch, self._stack.job_queue, name)
        return [job for job in found if job["jobName"] == name]

    def _open_doubts(self) -> list[_Doubt]:
        with self._doubting:
            return list(self._doubts.values())
