"""What Batch knows of jobs: what was submitted, states, attempts, and when to try again.

::

    submit -> SUBMITTED -> RUNNABLE --(a worker is free)--> STARTING -> RUNNING -> SUCCEEDED
                              ^                                           |------> FAILED
                              '-------------------- retry ----------------'

The parent of an array is PENDING until all of its children have ended.
"""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "BEFORE_START",
    "DEFAULT_LOG_GROUP",
    "ENDED",
    "STATES",
    "Attempt",
    "Fate",
    "Job",
    "JobSpec",
    "Outcome",
    "Rule",
    "given",
    "now",
]

# https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
STATES: Final = (
    "SUBMITTED",
    "PENDING",
    "RUNNABLE",
    "STARTING",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
)
BEFORE_START: Final = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})
ENDED: Final = frozenset({"SUCCEEDED", "FAILED"})
DEFAULT_LOG_GROUP: Final = "/aws/batch/job"
_EXITED: Final = "Essential container in task exited"


def now() -> int:
    """Return the time in milliseconds, Batch's unit."""
    return int(time.time() * 1000)


def given(**values: Any) -> dict[str, Any]:
    """Return those of the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        exit_code: The container's; None if it never ran.
        reason: What went wrong with the container; None if nothing did.
        status_reason: Why the attempt ended.
    """

    exit_code: int | None = None
    reason: str | None = None
    status_reason: str = _EXITED


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule of ``evaluateOnExit``: which attempts it applies to, and what to do after them.

    Attributes:
        action: ``RETRY`` or ``EXIT``.
        patterns: By condition, ``onExitCode`` for instance, what must match; ``*`` at the end of a
            pattern matches anything.
    """

    action: str
    patterns: Mapping[str, str]

    def matches(self, outcome: Outcome) -> bool:
        """Say whether all patterns match."""
        code = "" if outcome.exit_code is None else str(outcome.exit_code)
        seen = {
            "onExitCode": code,
            "onReason": outcome.reason or "",
            "onStatusReason": outcome.status_reason,
        }
        return all(_matches(pattern, seen[name]) for name, pattern in self.patterns.items())


@dataclasses.dataclass(frozen=True)
class JobSpec:
    """What was submitted: a job definition, with the overrides of the request.

    Attributes:
        name: The job's name.
        definition: ARN of the job definition.
        definition_name: Its name.
        queue: ARN of the job queue.
        queue_name: Its name.
        compute_environment: Name of the compute environment.
        image: The image, of which only the name counts here.
        command: The command; empty for the image's entry point.
        environment: The environment variables.
        role: ARN of the role whose credentials the job has; empty for none.
        log_group: Where what it prints goes.
        attempts: How often it may be tried.
        rules: What to do after an attempt that failed; the first that matches counts.
        timeout: Seconds for each attempt.
        init: Whether an init process is the container's first; without, the command is.
        described: The parts of DescribeJobs' answer that repeat the request.
    """

    name: str
    definition: str
    definition_name: str
    queue: str
    queue_name: str
    compute_environment: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    role: str = ""
    log_group: str = DEFAULT_LOG_GROUP
    attempts: int = 1
    rules: tuple[Rule, ...] = ()
    timeout: float | None = None
    init: bool = False
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def retries(self, outcome: Outcome) -> bool:
        """Say whether to try again after an attempt that failed: yes, if no rule matches."""
        action = next((rule.action for rule in self.rules if rule.matches(outcome)), "RETRY")
        return action == "RETRY"


@dataclasses.dataclass(frozen=True)
class Fate:
    """What is to befall a job, in seconds; see `unkind`.

    Attributes:
        unknown: For how long after the submission DescribeJobs does not know it.
        unlisted: For how long ListJobs does not.
        summary_lag: How late the summary of an array's children is.
        runnable: For how long it is RUNNABLE before it is started first.
        vanishes: How long after its first start its machine vanishes; 0 if it does not.
        first: Whether its command is process 1, as in a container, unless it has an init process.
    """

    unknown: float = 0.0
    unlisted: float = 0.0
    summary_lag: float = 0.0
    runnable: float = 0.0
    vanishes: float = 0.0
    first: bool = False


@dataclasses.dataclass(eq=False)
class Attempt:
    """One start of a job.

    Attributes:
        log_stream: Where what it prints goes.
        started: When its process started, in milliseconds; None if it did not.
        stopped: When it ended, in milliseconds.
        outcome: How it ended; empty until then.
        lost_host: What Batch says if its machine has been taken away; None if it has not.
    """

    log_stream: str
    started: int | None = None
    stopped: int | None = None
    outcome: Outcome = Outcome()
    lost_host: str | None = None


@dataclasses.dataclass(eq=False)
class Job:
    """A job, the parent of an array, or one of its children; guarded by the scheduler's lock.

    Attributes:
        id: Batch's id; a child's is its parent's, a colon and its index.
        arn: Its ARN.
        spec: What was submitted.
        index: A child's index in its array.
        parent: A child's parent.
        children: A parent's children.
        fate: What is to befall it.
        submitted: When it was submitted, by the monotonic clock.
        status: One of `STATES`; changed by `enter`.
        former: The status before this one.
        since: When it entered this status, by the monotonic clock.
        status_reason: Why it has this status.
        created: When it was submitted, in milliseconds.
        stopped: When it ended, in milliseconds.
        attempts: Its attempts so far.
        stop_reason: Why it has to stop; None if it may go on.
        unfinished: How many children have not ended.
    """

    id: str
    arn: str
    spec: JobSpec
    index: int | None = None
    parent: "Job | None" = None
    children: list["Job"] = dataclasses.field(default_factory=list)
    fate: Fate = Fate()
    submitted: float = dataclasses.field(default_factory=time.monotonic)
    status: str = "SUBMITTED"
    former: str = "SUBMITTED"
    since: float = 0.0
    status_reason: str | None = None
    created: int = dataclasses.field(default_factory=now)
    stopped: int | None = None
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    stop_reason: str | None = None
    unfinished: int = 0

    @property
    def singles(self) -> list["Job"]:
        """The jobs that run: the children, or the job itself."""
        return self.children or [self]

    @property
    def latest(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def age(self) -> float:
        """Seconds since it was submitted."""
        return time.monotonic() - self.submitted

    def enter(self, status: str) -> None:
        """Change the status."""
        self.former, self.status, self.since = self.status, status, time.monotonic()

    def status_before(self, lag: float) -> str:
        """Return the status so many seconds ago, or the one before the current one."""
        return self.status if time.monotonic() - self.since >= lag else self.former

    def end(self, status: str, reason: str | None) -> None:
        """End the job, and its parent with the last child."""
        self.enter(status)
        self.status_reason, self.stopped = reason, now()
        parent = self.parent
        if parent is None:
            return
        parent.unfinished -= 1
        if parent.unfinished == 0:
            failed = any(child.status == "FAILED" for child in parent.children)
            reason = parent.stop_reason or ("Array Child Job failed" if failed else None)
            parent.end("FAILED" if failed else "SUCCEEDED", reason)


def _matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
