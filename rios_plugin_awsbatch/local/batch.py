"""AWS Batch over `jobs`: moto keeps queues, definitions and compute environments; jobs become processes."""

import json
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moto.batch.urls
from moto.batch.exceptions import ClientException
from moto.batch.models import BatchBackend, JobDefinition, JobQueue, batch_backends
from moto.batch.responses import BatchResponse
from moto.batch.utils import make_arn_for_job
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.models import logs_backends

from .environment import client_environment, container_environment
from .order import Order
from .processes import Job, JobService, JobSpec, Rule

__all__ = ["install"]

LOG_GROUP = "/aws/batch/job"  # for a definition that names none
STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
_CONDITIONS = ("onExitCode", "onReason", "onStatusReason")
_MOST_ATTEMPTS = 10
_MOST_RULES = 5
_MOST_OVERRIDES = 8192
_MOST_DESCRIBED = 100
_PAGE = 1000
# https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html; moto's wants two characters
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_STREAM_SHOWN = 8  # characters of the name of a log stream; enough to tell workers apart
_ARRAY_SIZES = range(2, 10_001)


class _BatchBackend(BatchBackend):
    """Same as moto's, but without its own kind of jobs."""

    service: JobService

    @property
    def _url_module(self) -> Any:
        paths = dict.fromkeys(moto.batch.urls.url_paths, _BatchResponse.dispatch)
        return SimpleNamespace(url_bases=moto.batch.urls.url_bases, url_paths=paths)

    def submit(self, request: Mapping[str, Any]) -> Job:
        """Take the job of a SubmitJob request."""
        job = self._array(request, self._spec(request))
        self.tag_resource(job.arn, request.get("tags") or {})
        self.service.submit(job)
        return job

    def describe(self, identities: list[str]) -> list[dict[str, Any]]:
        """Return what is known of the jobs that exist."""
        _require(
            len(identities) <= _MOST_DESCRIBED,
            f"At most {_MOST_DESCRIBED} jobs can be described at once",
        )
        jobs = filter(None, map(self.service.find, identities))
        with self.service.unchanging():
            return [_described(job, self.list_tags_for_resource(job.arn)) for job in jobs]

    def summaries(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return short descriptions of the jobs of a queue or of an array."""
        with self.service.unchanging():
            return [_summary(job) for job in self._listed(request)]

    def _listed(self, request: Mapping[str, Any]) -> list[Job]:
        if request.get("arrayJobId"):
            parent = self.service.find(request["arrayJobId"])
            jobs = parent.children if parent is not None else []
        else:
            queue = self._queue(request.get("jobQueue") or "")
            jobs = [job for job in self.service.submitted() if job.spec.queue == queue.arn]
        if request.get("filters"):
            return [
                job for job in jobs if any(_passes(job, wanted) for wanted in request["filters"])
            ]
        status = request.get("jobStatus") or "RUNNING"
        _require(status in STATES, f"Job status is not one of {' | '.join(STATES)}")
        return [job for job in jobs if job.status == status]

    def cancel_job(self, job_id: str, reason: str) -> None:
        self._terminate(job_id, reason, started=False)

    def terminate_job(self, job_id: str, reason: str) -> None:
        self._terminate(job_id, reason, started=True)

    def _terminate(self, job_id: str, reason: str, *, started: bool) -> None:
        _require(bool(job_id and reason), "Both jobId and reason are required, and cannot be empty")
        job = self.service.find(job_id)
        if job is not None:
            self.service.terminate(job, reason, started=started)

    def _queue(self, identifier: str) -> JobQueue:
        queue = self.get_job_queue(identifier)
        if queue is None:
            raise ClientException(f"Job queue {identifier} does not exist")
        return queue

    def _definition(self, identifier: str) -> JobDefinition:
        definition = self.get_job_definition(identifier)
        if definition is None or definition.status != "ACTIVE":
            raise ClientException(f"Job definition {identifier} does not exist")
        return definition

    def _spec(self, request: Mapping[str, Any]) -> JobSpec:
        _require(
            _JOB_NAME.fullmatch(request.get("jobName") or "") is not None,
            "Job name should match valid pattern",
        )
        _require(not request.get("dependsOn"), "The embedded AWS has no dependencies between jobs")
        queue = self._queue(request.get("jobQueue") or "")
        definition = self._definition(request.get("jobDefinition") or "")
        overrides = request.get("containerOverrides") or {}
        length = len(json.dumps(overrides, separators=(",", ":")))
        _require(
            length <= _MOST_OVERRIDES,
            f"Container Overrides length must be at most {_MOST_OVERRIDES}",
        )
        properties = definition.container_properties or {}
        retry = request.get("retryStrategy") or definition.retry_strategy or {}
        timeout = request.get("timeout") or definition.timeout or {}
        parameters = {**definition.parameters, **(request.get("parameters") or {})}
        command = overrides.get("command") or properties.get("command") or []
        environment = {**_pairs(properties), **_pairs(overrides)}
        return JobSpec(
            name=request["jobName"],
            definition=definition.arn,
            definition_name=definition.name,
            queue=queue.arn,
            queue_name=queue.name,
            compute_environment=queue.environments[0].name,
            image=properties["image"],
            command=tuple(_filled_in(part, parameters) for part in command),
            environment=environment,
            log_group=_log_group(properties),
            attempts=_attempts(retry),
            rules=_rules(retry),
            timeout=_seconds(timeout),
            described=_given_by_request(parameters, retry, timeout, properties | overrides),
        )

    def _array(self, request: Mapping[str, Any], spec: JobSpec) -> Job:
        job = self._job(str(uuid.uuid4()), spec)
        size = (request.get("arrayProperties") or {}).get("size")
        if size is not None:
            _require(
                size in _ARRAY_SIZES,
                f"Array size must be between {_ARRAY_SIZES[0]} and {_ARRAY_SIZES[-1]}",
            )
            job.children = [
                self._job(f"{job.id}:{index}", spec, index, job) for index in range(size)
            ]
        return job

    def _job(
        self, identity: str, spec: JobSpec, index: int | None = None, parent: Job | None = None
    ) -> Job:
        return Job(
            identity,
            make_arn_for_job(self.account_id, identity, self.region_name),
            spec,
            index,
            parent,
        )


class _BatchResponse(BatchResponse):
    """Same as moto's, but it lets the backend see the whole request, retry strategy included."""

    @property
    def backend(self) -> _BatchBackend:
        backend = batch_backends[self.current_account][self.region]
        assert isinstance(backend, _BatchBackend)
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


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - as assert has it
    if not condition:
        raise ClientException(message)


def _pairs(properties: Mapping[str, Any]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in properties.get("environment") or []}


def _log_group(properties: Mapping[str, Any]) -> str:
    options = (properties.get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group", LOG_GROUP))


def _filled_in(part: str, parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        part = part.replace(f"Ref::{name}", value)
    return part


def _attempts(retry: Mapping[str, Any]) -> int:
    attempts = int(retry.get("attempts") or 1)
    _require(
        1 <= attempts <= _MOST_ATTEMPTS,
        f"RetryStrategy attempts must be between 1 and {_MOST_ATTEMPTS}",
    )
    return attempts


def _seconds(timeout: Mapping[str, Any]) -> float | None:
    # AWS wants 60 s at least; here tests need not wait that long.
    return float(timeout["attemptDurationSeconds"]) if timeout else None


def _rules(retry: Mapping[str, Any]) -> tuple[Rule, ...]:
    rules = retry.get("evaluateOnExit") or []
    _require(len(rules) <= _MOST_RULES, f"At most {_MOST_RULES} evaluateOnExit rules")
    return tuple(_rule(rule) for rule in rules)


def _rule(given: Mapping[str, str]) -> Rule:
    action = given.get("action", "").upper()
    patterns = {name: given[name] for name in _CONDITIONS if given.get(name)}
    _require(action in {"RETRY", "EXIT"}, "evaluateOnExit: action must be RETRY or EXIT")
    _require(bool(patterns), f"evaluateOnExit: at least one of {', '.join(_CONDITIONS)} is needed")
    trailing = all("*" not in pattern[:-1] for pattern in patterns.values())
    _require(trailing, "evaluateOnExit: a pattern can have * at its end only")
    return Rule(action, patterns)


def _given_by_request(
    parameters: Mapping[str, str],
    retry: Mapping[str, Any],
    timeout: Mapping[str, Any],
    container: Mapping[str, Any],
) -> dict[str, Any]:
    shown = (
        "image",
        "command",
        "vcpus",
        "memory",
        "resourceRequirements",
        "logConfiguration",
        "volumes",
        "mountPoints",
        "ulimits",
    )
    return {
        "parameters": dict(parameters),
        "retryStrategy": dict(retry),
        "container": {name: container[name] for name in shown if name in container},
        **({"timeout": dict(timeout)} if timeout else {}),
    }


def _passes(job: Job, wanted: Mapping[str, Any]) -> bool:
    if wanted["name"] != "JOB_NAME":
        raise ClientException("The embedded AWS filters jobs by JOB_NAME only")
    name = job.spec.name.lower()
    values = [value.lower() for value in wanted["values"]]
    return any(name.startswith(v[:-1]) if v.endswith("*") else name == v for v in values)


def _summary(job: Job) -> dict[str, Any]:
    latest = job.latest
    known = {
        "statusReason": job.status_reason,
        "startedAt": latest.started if latest is not None else None,
        "stoppedAt": job.stopped,
        "container": latest.outcome() or None if latest is not None else None,
        "arrayProperties": _array_properties(job) or None,
    }
    return {
        "jobId": job.id,
        "jobArn": job.arn,
        "jobName": job.spec.name,
        "jobDefinition": job.spec.definition,
        "createdAt": job.created,
        "status": job.status,
        **{name: value for name, value in known.items() if value is not None},
    }


def _described(job: Job, tags: Mapping[str, str]) -> dict[str, Any]:
    spec, latest = job.spec, job.latest
    container = {
        **spec.described["container"],
        "command": list(spec.command),
        "environment": [{"name": name, "value": value} for name, value in spec.environment.items()],
        **(latest.as_json()["container"] if latest is not None else {}),
    }
    return {
        **spec.described,
        **_summary(job),
        "jobQueue": spec.queue,
        "dependsOn": [],
        "tags": dict(tags),
        "attempts": [attempt.as_json() for attempt in job.attempts if attempt.stopped is not None],
        "container": container,
    }


def _array_properties(job: Job) -> dict[str, Any]:
    if job.index is not None:
        return {"index": job.index}
    if not job.children:
        return {}
    counts = dict.fromkeys(STATES, 0)
    for child in job.children:
        counts[child.status] += 1
    return {"size": len(job.children), "statusSummary": counts}


def _log_to(order: Order) -> Callable[[str, str, list[str]], None]:
    """Return a function that adds lines to a stream of a group of moto's CloudWatch logs, and shows them if ordered."""
    backend = logs_backends[DEFAULT_ACCOUNT_ID][order.region]

    def log(group: str, stream: str, lines: list[str]) -> None:
        backend.ensure_log_group(group)
        backend.ensure_log_stream(group, stream)
        now = int(time.time() * 1000)
        backend.put_log_events(
            group, stream, [{"timestamp": now, "message": line} for line in lines]
        )
        if order.logs:
            sys.stderr.write(
                "".join(f"[{stream.rpartition('/')[2][:_STREAM_SHOWN]}] {line}\n" for line in lines)
            )
            sys.stderr.flush()

    return log


def install(order: Order, scratch: Path, base: Mapping[str, str]) -> JobService:
    """Make moto's Batch run its jobs here; return the service that does."""
    environment = {
        **container_environment(base),
        **client_environment(order.endpoint, order.region, order.stack),
    }
    service = JobService(order.workers, order.stop_grace, environment, scratch, _log_to(order))
    _BatchBackend.service = service
    batch_backends.backend = _BatchBackend
    return service
