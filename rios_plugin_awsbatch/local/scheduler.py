"""Batch's scheduler: runs jobs as processes, a few at a time, with the states of AWS Batch.

It knows nothing of moto.
"""

import contextlib
import dataclasses
import functools
import secrets
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Final

from .attempts import Surroundings, run_attempt
from .clock import Clock, Timer
from .jobs import BEFORE_START, ENDED, Attempt, Job, Outcome, now
from .places import Places
from .processes import JobProcess

__all__ = ["Scheduler"]

_TIMED_OUT: Final = "Job attempt duration exceeded timeout"
# https://docs.aws.amazon.com/batch/latest/userguide/bestpractice6.html
_HOST_LOST: Final = "Host EC2 (instance i-0{}) terminated."
_KILLED: Final = 128 + signal.SIGKILL


class Scheduler:
    """Runs jobs, first come first served, in each compute environment so many at once.

    Threads: one per running job, in `_attempt`; it has the process started and waits for its end.
    That of the clock. All others are the callers'.

    Args:
        workers: How many jobs run at once in a compute environment; with 0, jobs stay RUNNABLE.
        stop_grace: Seconds between SIGTERM and SIGKILL.
        surroundings: What all jobs have in common.
        clock: For what takes minutes or hours: timeouts.
    """

    def __init__(
        self, workers: int, stop_grace: float, surroundings: Surroundings, clock: Clock
    ) -> None:
        self._stop_grace = stop_grace
        self._surroundings = surroundings
        self._clock = clock
        self._changed = threading.Condition()  # guards all that follows, and the jobs themselves
        self._places = Places(workers)
        self._jobs: dict[str, Job] = {}
        self._processes: dict[Job, JobProcess] = {}

    def submit(self, job: Job) -> None:
        """Take a job, with its children if it is the parent of an array."""
        with self._changed:
            self._jobs[job.id] = job
            if job.children:
                job.enter("PENDING")
                job.unfinished = len(job.children)
            for single in job.singles:
                self._jobs[single.id] = single
                self._enqueue(single, single.fate.runnable)
            self._dispatch()

    def find(self, identity: str) -> Job | None:
        """Return the job with this id or ARN."""
        with self._changed:
            return self._jobs.get(identity.rpartition("/")[2])

    def submitted(self) -> list[Job]:
        """Return all jobs that were submitted, without children of arrays, the newest first."""
        with self._changed:
            return [job for job in reversed(self._jobs.values()) if job.parent is None]

    @contextlib.contextmanager
    def unchanging(self) -> Iterator[None]:
        """Keep all jobs as they are inside the context, so that what is read fits together."""
        with self._changed:
            yield

    def terminate(self, job: Job, reason: str, *, started: bool = True) -> None:
        """End a job with its children.

        Args:
            job: The job.
            reason: Its status reason.
            started: Whether to end those that have started, too.
        """
        with self._changed:
            if job.children and job.status not in ENDED:
                job.stop_reason = job.stop_reason or reason
            for single in job.singles:
                if single.status in BEFORE_START:
                    single.stop_reason = reason
                    single.end("FAILED", reason)
                elif started:
                    self._stop(single, reason)

    def reclaim(self, job: Job, grace: float) -> None:
        """Take the machine of a job, or those of all of an array's children that run.

        Args:
            job: The job.
            grace: Seconds between SIGTERM and the end of the machine; with 0, there is no SIGTERM.
        """
        with self._changed:
            running = [single for single in job.singles if single.status == "RUNNING"]
            processes = [self._processes[single] for single in running]
            for single in running:
                single.attempts[-1].lost_host = _HOST_LOST.format(secrets.token_hex(8))
        for process in processes:
            process.stop(grace) if grace else process.kill()

    def occupy(self, places: int) -> None:
        """Let jobs of others hold so many places in each compute environment from now on."""
        with self._changed:
            self._places.occupied = places
            self._dispatch()

    def close(self) -> None:
        """End all jobs, and wait until their processes have ended."""
        with self._changed:
            self._places.each = 0
            for job in list(self._jobs.values()):
                self.terminate(job, "The embedded AWS ends")
            self._changed.wait_for(lambda: not self._places.taken)

    # With the lock held

    def _enqueue(self, job: Job, delay: float = 0.0) -> None:
        job.enter("RUNNABLE")
        if delay:
            self._clock.call_later(delay, self._let_start, job)
        else:
            self._places.wait(job)

    def _dispatch(self) -> None:
        for job in self._places.give():
            job.enter("STARTING")
            job.attempts.append(_new_attempt(job))
            threading.Thread(
                target=self._attempt, args=[job], name=f"job-{job.id}", daemon=True
            ).start()

    def _conclude(self, job: Job, outcome: Outcome) -> None:
        if job.stop_reason is not None:
            job.end("FAILED", job.stop_reason)
        elif outcome.exit_code == 0:
            job.end("SUCCEEDED", outcome.status_reason)
        elif len(job.attempts) < job.spec.attempts and job.spec.retries(outcome):
            job.status_reason = outcome.status_reason
            self._enqueue(job)
        else:
            job.end("FAILED", outcome.status_reason)

    # In the clock's thread

    def _let_start(self, job: Job) -> None:
        with self._changed:
            self._places.wait(job)
            self._dispatch()

    def _vanish(self, job: Job, attempt: Attempt) -> None:
        if job.latest is attempt:
            self.reclaim(job, 0.0)

    # In the thread of a running job

    def _attempt(self, job: Job) -> None:
        attempt = job.attempts[-1]
        outcome = Outcome()
        try:
            outcome = run_attempt(
                job,
                attempt,
                self._surroundings,
                functools.partial(self._start, job, attempt),
                self._timers(job, attempt),
            )
        finally:
            with self._changed:
                if attempt.lost_host is not None and outcome.exit_code == _KILLED:
                    outcome = Outcome(status_reason=attempt.lost_host)
                if job.stop_reason is not None:
                    outcome = dataclasses.replace(outcome, status_reason=job.stop_reason)
                attempt.outcome, attempt.stopped = outcome, now()
                self._processes.pop(job, None)
                self._conclude(job, outcome)
                self._places.leave(job)
                self._dispatch()
                self._changed.notify_all()

    def _start(
        self, job: Job, attempt: Attempt, make: Callable[[], JobProcess]
    ) -> JobProcess | None:
        """Start a job's process, unless the job has been stopped."""
        # Starting takes a moment. Whoever stops the job meanwhile must find the process.
        with self._changed:
            if job.stop_reason is not None:
                return None
            process = self._processes[job] = make()
            attempt.started = now()
            job.enter("RUNNING")
            return process

    @contextlib.contextmanager
    def _timers(self, job: Job, attempt: Attempt) -> Iterator[None]:
        """Stop a job that takes longer than its timeout; let its machine vanish if that is due."""
        timers: list[Timer] = []
        if job.spec.timeout is not None:
            timers.append(self._clock.call_later(job.spec.timeout, self._stop, job, _TIMED_OUT))
        if job.fate.vanishes and len(job.attempts) == 1:
            timers.append(self._clock.call_later(job.fate.vanishes, self._vanish, job, attempt))
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def _stop(self, job: Job, reason: str) -> None:
        with self._changed:
            if job.status in ENDED or job.stop_reason is not None:
                return
            job.stop_reason = reason
            process = self._processes.get(job)
        if process is not None:
            process.stop(self._stop_grace)


def _new_attempt(job: Job) -> Attempt:
    return Attempt(f"{job.spec.definition_name}/default/{uuid.uuid4().hex}")
