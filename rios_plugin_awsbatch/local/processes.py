"""Batch's jobs as local processes: their states, attempts, retries and ends, as AWS Batch has them.

This module knows nothing of moto::

    submit -> SUBMITTED -> RUNNABLE --(a worker is free)--> STARTING -> RUNNING -> SUCCEEDED
                              ^                                            |-----> FAILED
                              '------------------ retry -------------------'

An array job's parent is PENDING until all of its children have ended.
"""

import collections
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

__all__ = ["Attempt", "Job", "JobService", "JobSpec", "Rule"]

ENTRY_POINT = "rios-awsbatch-worker"
MISSING_IMAGE = "missing/"
ENDED = frozenset({"SUCCEEDED", "FAILED"})
BEFORE_START = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})
TIMED_OUT = "Job attempt duration exceeded timeout"
EXITED = "Essential container in task exited"

LogSink = Callable[[str, str, list[str]], None]


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _now() -> int:
    """Return the time as Batch tells it, in milliseconds."""
    return int(time.time() * 1000)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One of ``evaluateOnExit``: what to do after an attempt that failed in a certain way."""

    action: str
    patterns: Mapping[str, str]

    def matches(self, **seen: str) -> bool:
        """Tell whether every pattern of the rule matches; they may end in ``*``."""
        return all(_matches(pattern, seen[name]) for name, pattern in self.patterns.items())


@dataclasses.dataclass(frozen=True)
class JobSpec:
    """What was submitted: the job definition with the overrides over it."""

    name: str
    definition: str
    definition_name: str
    queue: str
    queue_name: str
    compute_environment: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log_group: str = "/aws/batch/job"
    attempts: int = 1
    rules: tuple[Rule, ...] = ()
    timeout: float | None = None
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(eq=False)
class Attempt:
    """One start of a job."""

    log_stream: str
    started: int | None = None
    stopped: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str = EXITED

    def outcome(self) -> dict[str, Any]:
        """Return what the container left behind."""
        return _given(exitCode=self.exit_code, reason=self.reason)

    def as_json(self) -> dict[str, Any]:
        """Return what ``describe_jobs`` says of it."""
        return {
            "container": {
                "logStreamName": self.log_stream,
                **self.outcome(),
            },
            "statusReason": self.status_reason,
            **_given(startedAt=self.started, stoppedAt=self.stopped),
        }


@dataclasses.dataclass(eq=False)
class Job:
    """A job, an array job's parent, or one of its children."""

    id: str
    arn: str
    spec: JobSpec
    index: int | None = None
    parent: "Job | None" = None
    children: list["Job"] = dataclasses.field(default_factory=list)
    status: str = "SUBMITTED"
    status_reason: str | None = None
    created: int = dataclasses.field(default_factory=_now)
    stopped: int | None = None
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    stop_reason: str | None = None
    process: "subprocess.Popen[bytes] | None" = None
    unfinished: int = 0

    @property
    def latest(self) -> Attempt | None:
        """The attempt that runs, or ran last."""
        return self.attempts[-1] if self.attempts else None


class JobService:
    """Runs jobs, at most ``workers`` of each compute environment at once, first come first served.

    Args:
        workers: How many processes run at once in each; with 0, jobs stay RUNNABLE.
        stop_grace: Seconds between SIGTERM and SIGKILL.
        environment: What every job's environment begins with.
        scratch: Folder in which every attempt has one of its own, gone when the attempt ends.
        log: Takes a log group's name, a log stream's, and lines of output.
    """

    def __init__(
        self,
        workers: int,
        stop_grace: float,
        environment: Mapping[str, str],
        scratch: Path,
        log: LogSink,
    ) -> None:
        self._workers = workers
        self._stop_grace = stop_grace
        self._environment = environment
        self._scratch = scratch
        self._log = log
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        # By compute environment:
        self._runnable: dict[str, collections.deque[Job]] = collections.defaultdict(
            collections.deque
        )
        self._running: collections.Counter[str] = collections.Counter()

    def submit(self, job: Job) -> None:
        """Take a job, with its children if it is an array job's parent."""
        with self._changed:
            self._jobs[job.id] = job
            if job.children:
                job.status = "PENDING"
                job.unfinished = len(job.children)
            for single in job.children or [job]:
                self._jobs[single.id] = single
                self._enqueue(single)
            self._dispatch()

    def find(self, identity: str) -> Job | None:
        """Return the job with this id or ARN."""
        with self._changed:
            return self._jobs.get(identity.rpartition("/")[2])

    def submitted(self) -> list[Job]:
        """Return all jobs that are no array job's children, the newest first."""
        with self._changed:
            return [job for job in reversed(self._jobs.values()) if job.parent is None]

    @contextlib.contextmanager
    def unchanging(self) -> Iterator[None]:
        """Let several things be read of jobs that belong together."""
        with self._changed:
            yield

    def terminate(self, job: Job, reason: str, *, started: bool = True) -> None:
        """End a job and its children; with ``started`` False, only those that have not started."""
        with self._changed:
            if job.children and job.status not in ENDED:
                job.stop_reason = job.stop_reason or reason
            for single in job.children or [job]:
                if single.status in BEFORE_START:
                    single.stop_reason = reason
                    self._end(single, "FAILED", reason)
                elif started:
                    self._stop(single, reason)

    def close(self) -> None:
        """End all jobs and wait until their processes have."""
        with self._changed:
            self._workers = 0
            for job in list(self._jobs.values()):
                self.terminate(job, "The embedded AWS ends")
            self._changed.wait_for(lambda: not self._running.total())

    def _enqueue(self, job: Job) -> None:
        job.status = "RUNNABLE"
        self._runnable[job.spec.compute_environment].append(job)

    def _dispatch(self) -> None:
        for environment, waiting in self._runnable.items():
            while waiting and self._running[environment] < self._workers:
                job = waiting.popleft()
                if job.status == "RUNNABLE":
                    job.status = "STARTING"
                    self._running[environment] += 1
                    threading.Thread(
                        target=self._attempt, args=[job], daemon=True, name=f"job-{job.id}"
                    ).start()

    def _attempt(self, job: Job) -> None:
        attempt = Attempt(f"{job.spec.definition_name}/default/{uuid.uuid4().hex}")
        with self._changed:
            job.attempts.append(attempt)
        try:
            self._run(job, attempt)
        finally:
            with self._changed:
                attempt.stopped = _now()
                job.process = None
                self._conclude(job, attempt)
                self._running[job.spec.compute_environment] -= 1
                self._dispatch()
                self._changed.notify_all()

    def _run(self, job: Job, attempt: Attempt) -> None:
        if job.spec.image.startswith(MISSING_IMAGE):
            attempt.reason = f"CannotPullContainerError: there is no image {job.spec.image}"
            attempt.status_reason = attempt.reason
            return
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            process = self._start(job, attempt, folder)
            if process is not None:
                self._wait(job, attempt, process)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self, job: Job, attempt: Attempt, folder: Path) -> "subprocess.Popen[bytes] | None":
        command = job.spec.command or (ENTRY_POINT,)
        environment = {
            **self._environment,
            "TMPDIR": str(folder),
            **job.spec.environment,
            **_identity(job),
        }
        with self._changed:
            if job.stop_reason is not None:
                return None
            try:
                job.process = subprocess.Popen(  # noqa: S603 - running what was submitted is the purpose
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                attempt.reason = f"CannotStartContainerError: {error}"
                attempt.status_reason = "Task failed to start"
                return None
            attempt.started = _now()
            job.status = "RUNNING"
            return job.process

    def _wait(self, job: Job, attempt: Attempt, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        place = (job.spec.log_group, attempt.log_stream)
        reader = threading.Thread(target=self._copy_log, args=[*place, process.stdout], daemon=True)
        reader.start()
        limit = threading.Timer(job.spec.timeout or 0, self._stop, [job, TIMED_OUT])
        limit.daemon = True
        if job.spec.timeout is not None:
            limit.start()
        code = process.wait()
        limit.cancel()
        _kill_group(process)
        # A process that left the group may hold the pipe for ever.
        reader.join(1)
        attempt.exit_code = code if code >= 0 else 128 - code

    def _copy_log(self, group: str, stream: str, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._log(group, stream, [line.decode(errors="replace").rstrip("\r\n")])

    def _stop(self, job: Job, reason: str) -> None:
        with self._changed:
            if job.status in ENDED or job.stop_reason is not None:
                return
            job.stop_reason = reason
            process = job.process
        if process is not None:
            process.terminate()
            killer = threading.Timer(self._stop_grace, _kill_if_running, [process])
            killer.daemon = True
            killer.start()

    def _conclude(self, job: Job, attempt: Attempt) -> None:
        if job.stop_reason is not None:
            attempt.status_reason = job.stop_reason
            self._end(job, "FAILED", job.stop_reason)
        elif attempt.exit_code == 0:
            self._end(job, "SUCCEEDED", attempt.status_reason)
        elif len(job.attempts) < job.spec.attempts and _retries(job.spec, attempt):
            job.status_reason = attempt.status_reason
            self._enqueue(job)
        else:
            self._end(job, "FAILED", attempt.status_reason)

    def _end(self, job: Job, status: str, reason: str | None) -> None:
        job.status, job.status_reason, job.stopped = status, reason, _now()
        parent = job.parent
        if parent is None:
            return
        parent.unfinished -= 1
        if parent.unfinished == 0:
            failed = any(child.status == "FAILED" for child in parent.children)
            reason = parent.stop_reason or ("Array Child Job failed" if failed else None)
            self._end(parent, "FAILED" if failed else "SUCCEEDED", reason)


def _identity(job: Job) -> dict[str, str]:
    """Return what Batch tells every job of itself."""
    array = {}
    if job.parent is not None:
        array["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.index)
        array["AWS_BATCH_JOB_ARRAY_SIZE"] = str(len(job.parent.children))
    return {
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(len(job.attempts)),
        "AWS_BATCH_JQ_NAME": job.spec.queue_name,
        "AWS_BATCH_CE_NAME": job.spec.compute_environment,
        **array,
    }


def _retries(spec: JobSpec, attempt: Attempt) -> bool:
    """Tell whether to try again; Batch does so when no rule matches."""
    seen = {
        "onExitCode": "" if attempt.exit_code is None else str(attempt.exit_code),
        "onReason": attempt.reason or "",
        "onStatusReason": attempt.status_reason,
    }
    action = next((rule.action for rule in spec.rules if rule.matches(**seen)), "RETRY")
    return action.upper() == "RETRY"


def _matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    # On macOS, a group of which only zombies are left is not "not found" but "not permitted".
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_if_running(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        _kill_group(process)
