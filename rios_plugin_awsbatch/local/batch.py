"""AWS Batch: jobs are the scheduler's.

Job queues, job definitions and compute environments are moto's.
"""

import json
import uuid
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import moto.batch.urls
from moto.batch.models import BatchBackend, JobDefinition, JobQueue, batch_backends
from moto.batch.responses import BatchResponse
from moto.batch.utils import make_arn_for_job

from . import unkind
from .job_descriptions import described, passes, summary
from .job_requests import array_size, job_spec, require
from .jobs import STATES, Fate, Job, JobSpec
from .scheduler import Scheduler
from .unkind import Unkindness

__all__ = ["install"]

# https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
_MOST_DESCRIBED: Final = 100
_PAGE: Final = 1000  # of ListJobs; AWS's own pages have 100 jobs at most


class _Backend(BatchBackend):
    """Same as moto's, but jobs are the scheduler's."""

    scheduler: Scheduler  # of the process; moto itself makes a backend for each region
    unkindness: Unkindness

    @property
    def _url_module(self) -> Any:
        # moto would look for it beside the module of this class.
        paths = dict.fromkeys(moto.batch.urls.url_paths, _Response.dispatch)
        return SimpleNamespace(url_bases=moto.batch.urls.url_bases, url_paths=paths)

    def submit(self, request: Mapping[str, Any]) -> Job:
        """Take the job of a SubmitJob request.

        Raises:
            ClientException: AWS Batch would refuse the request, or the embedded AWS cannot do it.
        """
        queue = self._queue(request.get("jobQueue") or "")
        require(queue.state == "ENABLED", f"Job queue {queue.name} is disabled")
        definition = self._definition(request.get("jobDefinition") or "")
        job = self._array(job_spec(request, queue, definition), array_size(request))
        self.tag_resource(job.arn, request.get("tags") or {})
        self.scheduler.submit(job)
        return job

    def describe(self, identities: list[str]) -> list[dict[str, Any]]:
        """Return DescribeJobs' descriptions of those jobs that exist."""
        require(
            len(identities) <= _MOST_DESCRIBED,
            f"At most {_MOST_DESCRIBED} jobs can be described at once",
        )
        found = filter(None, map(self.scheduler.find, identities))
        # Who is spared sees each job at once, and as it is.
        spared = self.unkindness.spared
        jobs = [job for job in found if spared or job.age >= _first(job).fate.unknown]
        with self.scheduler.unchanging():
            return [
                described(
                    job,
                    self.list_tags_for_resource(job.arn),
                    0.0 if spared else job.fate.summary_lag,
                )
                for job in jobs
            ]

    def summaries(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return ListJobs' summaries of the jobs of a queue or an array."""
        spared = self.unkindness.spared
        with self.scheduler.unchanging():
            summaries = [
                summary(job)
                for job in self._listed(request)
                if spared or job.age >= _first(job).fate.unlisted
            ]
        for entry in summaries:
            if self.unkindness.happens(unkind.NO_JOB_DEFINITION):
                del entry["jobDefinition"]
        return summaries

    def _listed(self, request: Mapping[str, Any]) -> list[Job]:
        if request.get("arrayJobId"):
            parent = self.scheduler.find(request["arrayJobId"])
            jobs = parent.children if parent is not None else []
        else:
            queue = self._queue(request.get("jobQueue") or "")
            jobs = [job for job in self.scheduler.submitted() if job.spec.queue == queue.arn]
        filters = request.get("filters")
        if filters:
            return [job for job in jobs if any(passes(job, wanted) for wanted in filters)]
        status = request.get("jobStatus") or "RUNNING"
        require(status in STATES, f"Job status is not one of {' | '.join(STATES)}")
        return [job for job in jobs if job.status == status]

    def cancel_job(self, job_id: str, reason: str) -> None:
        self._terminate(job_id, reason, started=False)

    def terminate_job(self, job_id: str, reason: str) -> None:
        self._terminate(job_id, reason, started=True)

    def _terminate(self, job_id: str, reason: str, *, started: bool) -> None:
        require(bool(job_id and reason), "Both jobId and reason are required, and cannot be empty")
        job = self.scheduler.find(job_id)
        if job is not None:
            self.scheduler.terminate(job, reason, started=started)

    def _queue(self, identifier: str) -> JobQueue:
        queue = self.get_job_queue(identifier)
        require(queue is not None, f"Job queue {identifier} does not exist")
        assert queue is not None
        return queue

    def _definition(self, identifier: str) -> JobDefinition:
        # A name stands for its latest active revision; moto's own search finds inactive ones.
        active = [
            definition
            for definition in self._job_definitions.values()
            if definition.status == "ACTIVE"
            and identifier
            in (definition.name, f"{definition.name}:{definition.revision}", definition.arn)
        ]
        require(bool(active), f"Job definition {identifier} does not exist")
        return max(active, key=lambda definition: definition.revision)

    def _array(self, spec: JobSpec, size: int | None) -> Job:
        job = self._job(str(uuid.uuid4()), spec)
        job.children = [
            self._job(f"{job.id}:{index}", spec, index, job) for index in range(size or 0)
        ]
        return job

    def _job(
        self, identity: str, spec: JobSpec, index: int | None = None, parent: Job | None = None
    ) -> Job:
        arn = make_arn_for_job(self.account_id, identity, self.region_name)
        seconds = self.unkindness.seconds
        fate = Fate(
            unknown=seconds(unkind.JOB_UNKNOWN),
            unlisted=seconds(unkind.JOB_UNLISTED),
            summary_lag=seconds(unkind.SUMMARY_LATE),
            runnable=seconds(unkind.RUNNABLE),
            vanishes=seconds(unkind.VANISHES),
            first=self.unkindness.happens(unkind.FIRST_PROCESS),
        )
        return Job(identity, arn, spec, index, parent, fate=fate)


class _Response(BatchResponse):
    """Same as moto's, but the backend gets all of a request; moto drops the retry strategy."""

    @property
    def backend(self) -> _Backend:
        backend = batch_backends[self.current_account][self.region]
        assert isinstance(backend, _Backend)
        return backend

    def submitjob(self) -> str:
        job = self.backend.submit(json.loads(self.body))
        return json.dumps({"jobId": job.id, "jobName": job.spec.name, "jobArn": job.arn})

    def describejobs(self) -> str:
        return json.dumps({"jobs": self.backend.describe(json.loads(self.body)["jobs"])})

    def listjobs(self) -> str:
        request = json.loads(self.body)
        start = int(request.get("nextToken") or 0)
        end = start + min(int(request.get("maxResults") or _PAGE), _PAGE)
        found = self.backend.summaries(request)
        token = {"nextToken": str(end)} if end < len(found) else {}
        return json.dumps({"jobSummaryList": found[start:end], **token})


def _first(job: Job) -> Job:
    """Return the job that was submitted: a child's parent, or the job itself."""
    return job.parent or job


def install(scheduler: Scheduler, unkindness: Unkindness) -> None:
    """Make moto's Batch give its jobs to a scheduler."""
    _Backend.scheduler = scheduler
    _Backend.unkindness = unkindness
    batch_backends.backend = _Backend
