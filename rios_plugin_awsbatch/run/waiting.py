"""Workers that have been started and are not ready yet: where they are, and why, as Batch tells it.

`Workforce.waiting` is the one place that knows. Main's log tells it, soon and then every half
minute.
"""

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Final

from rios_plugin_awsbatch.aws.batch import advice_for, misconfiguration_in

from .launch import JobState, WorkerJob
from .queue_watch import QueueState, QueueWatch
from .roster import Roster

__all__ = ["Startup", "Waiting", "WaitingLog"]

log = logging.getLogger(__name__)

TELL_SECONDS: Final = 3.0
TELL_AGAIN_SECONDS: Final = 30.0
WARN_SECONDS: Final = 60.0
# Between two looks; the rest of a longer time main itself has slept.
GAP_SECONDS: Final = 30.0
# For how long Batch may know that workers have failed, and not yet which.
UNEXPLAINED_SECONDS: Final = 20.0
_STARTED: Final = ("STARTING", "RUNNING")
_CAPACITY: Final = "CAPACITY:"  # Batch's reason if there are no machines
_STARTUP_VARIABLE: Final = "RIOS_AWSBATCH_STARTUP_TIMEOUT"
_PLACE_VARIABLE: Final = "RIOS_AWSBATCH_WAIT_FOR_CAPACITY"
_USUAL: Final = "A start takes one to five minutes if no machine runs."
# The first state in which some are decides.
_ADVICE: Final = {
    "RUNNING": "They started but never reached the run's queues: read their log streams, and check "
    "the image.",
    "RUNNABLE": "A job stays RUNNABLE when the compute environment is disabled or at its maximum, "
    "when no instance type is large enough for the job's vcpus and memory, or when the account's "
    "quota is used up; `rios-awsbatch stack status` shows which.",
    "STARTING": "Their machine pulls the image, which takes a minute or two.",
}


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Workers of which none is ready yet.

    Attributes:
        seconds: Since they were submitted.
        counts: How many are in each of Batch's states; only states in which some are.
        reasons: What Batch says about those that wait, each reason once.
        behind: How many jobs of others have places of the job queue, while all of these wait.
        trouble: Why the job queue can start no job; empty if it can.
        ends: What ends the wait.
    """

    seconds: float
    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    behind: int = 0
    trouble: str = ""
    ends: str = ""

    @classmethod
    def of(cls, seconds: float, states: Iterable[JobState]) -> "Waiting":
        """Add up the states of jobs."""
        counts: collections.Counter[str] = collections.Counter()
        reasons: dict[str, None] = {}
        for state in states:
            counts.update(state.counts)
            reasons.update(dict.fromkeys(state.waiting))
        return cls(seconds, dict(+counts), tuple(reasons))

    def seen_with(self, queue: QueueState) -> "Waiting":
        """Return the same with what is known of the job queue."""
        own = sum(self.counts.get(status, 0) for status in _STARTED)
        behind = 0 if own else queue.taken
        return dataclasses.replace(self, behind=behind, trouble=queue.trouble)

    @property
    def blocked(self) -> bool:
        """Whether Batch cannot start any of them now, though nothing is wrong."""
        short = any(reason.startswith(_CAPACITY) for reason in self.reasons)
        started = any(self.counts.get(status) for status in _STARTED)
        return not started and (self.behind > 0 or short)

    @property
    def hopeless(self) -> str:
        """Why no waiting helps; empty if it may."""
        return self.trouble or misconfiguration_in(self.reasons)

    @property
    def advice(self) -> str:
        """What keeps workers where they are, and what to do about it."""
        if self.trouble:
            return "`rios-awsbatch stack status` says more, `stack modify` corrects it."
        if self.hopeless:
            return advice_for(self.hopeless)
        if self.behind:
            number = "1 other job has" if self.behind == 1 else f"{self.behind} other jobs have"
            return f"{number} places of the job queue; `rios-awsbatch jobs` lists them."
        known = (advice for status, advice in _ADVICE.items() if self.counts.get(status))
        return next(known, "Batch is taking the job.")

    def __str__(self) -> str:
        where = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        said = "; ".join(filter(None, [*self.reasons, self.trouble]))
        return f"{where} ({said})" if said else where


class Startup:
    """The start of workers where there are none: how long it has taken, and where they are.

    Two times are counted: that in which Batch could start workers, and that in which it could not
    because others have all places, or EC2 has no machines. Each has a limit of its own.

    Args:
        roster: Who is ready.
        timeout: Seconds until the first worker must be ready, of those in which it could start.
        patience: Seconds to wait for a place; None for any time.
        queue: Looks at the job queue.
    """

    def __init__(
        self, roster: Roster, timeout: float, patience: float | None, queue: QueueWatch
    ) -> None:
        self._timeout = timeout
        self._patience = patience
        self._roster = roster
        self._queue = queue
        self._changing = threading.Lock()  # guards all that follows
        self._begun = self._looked = time.monotonic()
        self._starting = self._blocked = 0.0  # the two times
        self._unexplained: float | None = None
        self._waiting: Waiting | None = None

    def begin(self) -> None:
        """Take note that all workers there were have ended, and others are started."""
        with self._changing:
            self._begun = self._looked = time.monotonic()
            self._starting = self._blocked = 0.0
            self._unexplained = self._waiting = None
        self._roster.note_launch()

    def look(self, jobs: Iterable[WorkerJob]) -> list[JobState]:
        """Ask Batch how workers are; why they wait, too, if they do so for some seconds."""
        with self._changing:
            seconds = time.monotonic() - self._begun
        long = seconds >= TELL_SECONDS and not self._roster.ready_since_launch
        states = [job.state(why_waiting=long) for job in jobs]
        waiting = Waiting.of(seconds, states)
        if long and waiting.counts.get("RUNNABLE"):
            waiting = waiting.seen_with(self._queue.look())
        self._note(waiting)
        return states

    def _note(self, waiting: Waiting) -> None:
        """Add the time since the latest look to one of the two."""
        with self._changing:
            now = time.monotonic()
            gap, self._looked = min(now - self._looked, GAP_SECONDS), now
            if waiting.blocked:
                self._blocked += gap
            else:
                self._starting += gap
            self._waiting = dataclasses.replace(waiting, ends=self._end_of(waiting))

    def _end_of(self, waiting: Waiting) -> str:
        if not waiting.blocked:
            left = max(self._timeout - self._starting, 0)
            return f"The run fails if none is ready in {left:.0f} s ({_STARTUP_VARIABLE})."
        if self._patience is None:
            return f"The run waits for a place as long as it takes ({_PLACE_VARIABLE} limits that)."
        left = max(self._patience - self._blocked, 0)
        return f"The run fails if no place becomes free in {left:.0f} s ({_PLACE_VARIABLE})."

    @property
    def problem(self) -> str:
        """Why no worker is to be waited for any longer; empty if one is, or is ready."""
        if self._roster.ready_since_launch:
            return ""
        run = self._roster.run_id
        with self._changing:
            hopeless = "" if self._waiting is None else self._waiting.hopeless
            starting, blocked = self._starting, self._blocked
        if hopeless:
            return f"No worker of run {run} can start: {hopeless}."
        if self._patience is not None and blocked > self._patience:
            return (
                f"No place became free for the workers of run {run} within {self._patience:g} s "
                f"({_PLACE_VARIABLE})."
            )
        if starting > self._timeout:
            return (
                f"No worker of run {run} was ready within {self._timeout:g} s "
                f"({_STARTUP_VARIABLE})."
            )
        return ""

    def explained(self, states: Iterable[JobState]) -> bool:
        """Say whether it is known why workers have failed, or no longer to be expected."""
        if all(state.reasons for state in states if state.failed):
            return True
        now = time.monotonic()
        with self._changing:
            self._unexplained = now if self._unexplained is None else self._unexplained
            return now - self._unexplained > UNEXPLAINED_SECONDS

    @property
    def latest(self) -> Waiting | None:
        """How the workers were at the latest look."""
        with self._changing:
            return self._waiting

    @property
    def waiting(self) -> Waiting | None:
        """The same; None if one of them has been ready."""
        return None if self._roster.ready_since_launch else self.latest


class WaitingLog:
    """Logs that tasks wait for workers: after some seconds, and then every half minute.

    Args:
        run_id: The run's id.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._next = TELL_SECONDS

    def tell(self, waiting: Waiting | None, tasks: int) -> None:
        """Log it if it is time.

        Args:
            waiting: The workers; None if one is ready.
            tasks: How many tasks wait for them.
        """
        if waiting is None or waiting.seconds < TELL_SECONDS:
            self._next = TELL_SECONDS
        elif waiting.seconds >= self._next:
            self._next = (waiting.seconds // TELL_AGAIN_SECONDS + 1) * TELL_AGAIN_SECONDS
            unusual = waiting.reasons or waiting.seconds >= WARN_SECONDS
            usual = "" if waiting.blocked else _USUAL
            log.log(
                logging.WARNING if unusual else logging.INFO,
                "run=%s tasks=%d no worker is ready after %.0f s: %s. %s",
                self._run_id,
                tasks,
                waiting.seconds,
                waiting,
                " ".join(filter(None, [usual, waiting.advice, waiting.ends])),
            )
