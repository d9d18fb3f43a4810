"""Workers that have been started and are not ready yet: where they are, and why, as Batch tells it.

`Workforce.waiting` is the one place that knows. Main's log tells it, soon and then seldom.
"""

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Final

from .launch import JobState, WorkerJob
from .roster import Roster

__all__ = ["Startup", "Waiting", "WaitingLog"]

log = logging.getLogger(__name__)

TELL_SECONDS: Final = 3.0
WARN_SECONDS: Final = 60.0


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Workers of which none is ready yet.

    Attributes:
        seconds: Since they were submitted.
        counts: How many are in each of Batch's states; only states in which some are.
        reasons: What Batch says about those that wait, each reason once.
    """

    seconds: float
    counts: Mapping[str, int]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, seconds: float, states: Iterable[JobState]) -> "Waiting":
        """Add up the states of jobs."""
        counts: collections.Counter[str] = collections.Counter()
        reasons: dict[str, None] = {}
        for state in states:
            counts.update(state.counts)
            reasons.update(dict.fromkeys(state.waiting))
        return cls(seconds, dict(+counts), tuple(reasons))

    @property
    def advice(self) -> str:
        """What keeps workers where they are, and what to do about it."""
        if self.counts.get("RUNNING"):
            return (
                "They started but never reached the run's queues: read their log streams, and "
                "check the image."
            )
        if self.counts.get("RUNNABLE"):
            return (
                "A job stays RUNNABLE when the compute environment is disabled or at its maximum, "
                "when no instance type is large enough for the job's vcpus and memory, or when "
                "the account's quota is used up; `rios-awsbatch stack status` shows which."
            )
        if self.counts.get("STARTING"):
            return "Their machine pulls the image, which takes a minute or two."
        return "Batch is taking the job."

    def __str__(self) -> str:
        where = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        said = "; ".join(self.reasons)
        return f"{where} ({said})" if said else where


class Startup:
    """The start of workers where there are none: how long it has taken, and where they are.

    Args:
        roster: Who is ready.
        timeout: Seconds until the first worker must be ready.

    Attributes:
        timeout: As given.
    """

    def __init__(self, roster: Roster, timeout: float) -> None:
        self.timeout = timeout
        self._roster = roster
        self._changing = threading.Lock()  # guards all that follows
        self._begun = time.monotonic()
        self._waiting: Waiting | None = None

    def begin(self) -> None:
        """Take note that all workers there were have ended, and others are started."""
        with self._changing:
            self._begun, self._waiting = time.monotonic(), None
        self._roster.note_launch()

    def look(self, jobs: Iterable[WorkerJob]) -> list[JobState]:
        """Ask Batch how workers are; why they wait, too, if they do so for some seconds."""
        with self._changing:
            seconds = time.monotonic() - self._begun
        long = seconds >= TELL_SECONDS and not self._roster.ready_since_launch
        states = [job.state(why_waiting=long) for job in jobs]
        with self._changing:
            self._waiting = Waiting.of(seconds, states)
        return states

    @property
    def late(self) -> bool:
        """Whether a worker should have been ready by now."""
        with self._changing:
            seconds = time.monotonic() - self._begun
        return not self._roster.ready_since_launch and seconds > self.timeout

    @property
    def waiting(self) -> Waiting | None:
        """How the workers were at the latest look; None if one of them has been ready."""
        ready = self._roster.ready_since_launch
        with self._changing:
            return None if ready else self._waiting


class WaitingLog:
    """Logs now and then that tasks wait for workers: rarer, the longer it takes.

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
            self._next = 2 * waiting.seconds
            unusual = waiting.reasons or waiting.seconds >= WARN_SECONDS
            log.log(
                logging.WARNING if unusual else logging.INFO,
                "run=%s tasks=%d no worker is ready after %.0f s: %s. A start takes one to five "
                "minutes if no machine runs. %s",
                self._run_id,
                tasks,
                waiting.seconds,
                waiting,
                waiting.advice,
            )
