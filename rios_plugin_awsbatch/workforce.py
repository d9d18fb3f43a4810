"""The workers of a run: started when there is work, watched, replaced within reason, ended."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .awserrors import sentence_for
from .errors import WorkersError
from .launch import JobState, WorkerJob, advice_for, submit_workers
from .messages import WorkerNotice
from .stack import StackOutputs

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["Workforce"]

log = logging.getLogger(__name__)

DEAD_SECONDS = 0.5
LAST_WORDS_SECONDS = 3.0  # what a terminated worker still stores must not come after the run's objects are deleted


class Workforce:
    """Keeps as many workers as are wanted, and says when that is hopeless.

    Args:
        batch: The Batch client.
        stack: Names the job queue and the job definition.
        run_id: The run's id, which names the jobs.
        overrides: The workers' container overrides.
        wanted: How many workers.
        replacements: How often workers that failed are replaced by new jobs, on top of Batch's own retries.
        startup_timeout: Seconds until the first worker must be ready.
        launched: Called with the ids of all jobs after each launch.
    """

    def __init__(  # noqa: PLR0913 - each is one fact, given once, by name
        self,
        batch: "BatchClient",
        stack: StackOutputs,
        run_id: str,
        overrides: Any,
        *,
        wanted: int,
        replacements: int,
        startup_timeout: float,
        launched: Callable[[list[str]], None],
    ) -> None:
        self._batch = batch
        self._stack = stack
        self._run_id = run_id
        self._overrides = overrides
        self._wanted = wanted
        self._replacements = replacements
        self._startup_timeout = startup_timeout
        self._launched = launched
        self._jobs: list[WorkerJob] = []
        self._launching = threading.RLock()
        self._ended = False
        self._failed_replaced = 0  # of the present jobs' failed workers
        self._launched_at = time.monotonic()
        self._reasons: tuple[str, ...] = ()
        self._changed = threading.Condition()
        self._ready: set[str] = set()
        self._gone: set[str] = set()
        self._ready_since_launch = False
        self._requests: dict[str, int] = {}

    def want(self, workers: int) -> None:
        """Let there be at least `workers` workers, from the next look on."""
        with self._changed:
            missing = workers - self._wanted
            self._wanted = max(self._wanted, workers)
        if missing > 0:
            self._launch(missing)

    def note(self, notice: WorkerNotice) -> None:
        """Take note of a worker that is ready or has gone."""
        log.info("run=%s worker=%s is %s: %s", self._run_id, notice.worker, notice.event, notice.detail)
        with self._changed:
            if notice.event == "ready":
                self._ready.add(notice.worker)
                self._gone.discard(notice.worker)
                self._ready_since_launch = True
            else:
                self._gone.add(notice.worker)
            self._requests[notice.worker] = notice.requests
            self._changed.notify_all()

    def note_requests(self, worker: str, requests: int) -> None:
        """Take note of how many AWS requests a worker has made so far."""
        self._requests[worker] = max(requests, self._requests.get(worker, 0))

    @property
    def seen(self) -> int:
        """How many workers have been ready."""
        return len(self._ready)

    @property
    def present(self) -> int:
        """How many workers are ready and have not said goodbye."""
        return len(self._ready - self._gone)

    @property
    def requests(self) -> int:
        """AWS requests of all workers."""
        return sum(self._requests.values())

    @property
    def job_ids(self) -> list[str]:
        """Batch's ids of the jobs."""
        return [job.job_id for job in self._jobs]

    @property
    def reasons(self) -> str:
        """Why workers failed, as Batch tells it; empty if none did."""
        return " | ".join(self._reasons)

    def start(self) -> None:
        """Start the workers.

        Raises:
            WorkersError: Batch does not take the job.
        """
        self._launch_afresh(self._wanted)

    def look(self, pending: int) -> None:
        """Look at the workers; start some where `pending` tasks need them.

        Raises:
            WorkersError: No worker can be expected any more.
        """
        jobs = tuple(self._jobs)
        states = [job.state() for job in jobs]
        self._take_reasons(states)
        alive = sum(state.unfinished for state in states)
        failed = sum(state.failed for state in states)
        if alive == 0:
            self._replace_all(jobs, pending, failed)
        elif not self._ready_since_launch and time.monotonic() - self._launched_at > self._startup_timeout:
            raise WorkersError(self._stuck(states))
        else:
            self._replace_some(min(self._wanted, pending) - alive, failed)

    def end(self, farewell: float) -> None:
        """End all workers.

        Args:
            farewell: Seconds for those that were told to stop to say goodbye; those that do not are terminated.
        """
        with self._launching:  # a job that is being submitted must not be missed
            self._ended = True
        self._wait_for_goodbyes(farewell)
        with self._changed:
            if not self.present and self._all_said_goodbye():
                return
        for job in self._jobs:
            try:
                job.terminate(f"Run {self._run_id} is over")
            except Exception as error:  # noqa: BLE001, PERF203 - the other jobs must be ended all the same
                log.warning("run=%s could not end job %s: %s", self._run_id, job.job_id, sentence_for(error))
        self._wait_for_goodbyes(LAST_WORDS_SECONDS)

    def wait_for_the_end(self, seconds: float) -> None:
        """Wait until Batch has ended all workers, for so many seconds at most."""
        deadline = time.monotonic() + seconds
        while not self._all_ended() and time.monotonic() < deadline:
            time.sleep(DEAD_SECONDS / 2)

    def _wait_for_goodbyes(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with self._changed:
                if not self.present:
                    return
                said = self._changed.wait(min(left, DEAD_SECONDS))
            if not said and self._all_ended():  # one that was killed says nothing
                return

    def _all_ended(self) -> bool:
        try:
            return not any(job.state().unfinished for job in self._jobs)
        except Exception as error:  # noqa: BLE001 - then the time that is left is waited
            log.debug("run=%s cannot look at the workers: %s", self._run_id, error)
            return False

    def _all_said_goodbye(self) -> bool:
        """Say whether no worker of the present jobs can be on its way any more; workers are named after their jobs."""
        gone = sum(worker.startswith(tuple(self.job_ids)) for worker in self._gone)
        return gone >= sum(job.size for job in self._jobs)

    def _launch_afresh(self, count: int) -> None:
        """Start workers where there are none, who then have the whole start-up time."""
        self._launched_at = time.monotonic()
        self._ready_since_launch = False
        self._launch(count)

    def _launch(self, count: int) -> None:
        with self._launching:
            if self._ended:
                return
            self._jobs += submit_workers(self._batch, self._stack, f"rios-{self._run_id}", count, self._overrides)
            log.info("run=%s workers=%d submitted to queue %s", self._run_id, count, self._stack.job_queue)
            self._launched(self.job_ids)

    def _replace_some(self, missing: int, failed: int) -> None:
        """Start workers in the place of those that were idle for too long and, within reason, of those that failed."""
        if missing > 0 and failed > self._failed_replaced and self._replacements > 0:
            self._replacements -= 1
            self._failed_replaced = failed
        missing -= failed - self._failed_replaced
        if missing > 0:
            self._launch(missing)

    def _replace_all(self, jobs: tuple[WorkerJob, ...], pending: int, failed: int) -> None:
        in_vain = bool(failed) or not self._ready_since_launch
        if in_vain and (self._replacements <= 0 or (failed and not self._ready)):
            first = self._reasons[0] if self._reasons else ""
            never = "" if self._ready_since_launch else " and none of the last ones was ready"
            raise WorkersError(
                f"All workers of run {self._run_id} have ended{never}: {self.reasons or 'Batch gives no reason'}. "
                f"{advice_for(first)}"
            )
        if in_vain:
            self._replacements -= 1
        with self._launching:  # `want` may have added a job meanwhile
            self._jobs = [job for job in self._jobs if job not in jobs]
            self._failed_replaced = 0
            self._launch_afresh(min(self._wanted, pending))

    def _take_reasons(self, states: list[JobState]) -> None:
        reasons = tuple(dict.fromkeys(reason for state in states for reason in state.reasons))
        for reason in reasons:
            if reason not in self._reasons:
                log.warning("run=%s a worker failed: %s", self._run_id, reason)
        self._reasons = tuple(dict.fromkeys([*self._reasons, *reasons]))

    def _stuck(self, states: list[JobState]) -> str:
        counts: dict[str, int] = {}
        for state in states:
            for status, number in state.counts.items():
                counts[status] = counts.get(status, 0) + number
        where = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        said = "; ".join(state.waiting for state in states if state.waiting)
        if counts.get("RUNNABLE") and not counts.get("RUNNING"):
            advice = (
                "A job stays RUNNABLE when the compute environment is disabled or at its maximum, no instance type is "
                "large enough for the job's vcpus and memory, or the account's quota is used up."
            )
        else:
            advice = "They started but never reached the run's queues: look into their log streams, and at the image."
        return (
            f"No worker of run {self._run_id} was ready within {self._startup_timeout:g} seconds "
            f"(RIOS_AWSBATCH_STARTUP_TIMEOUT): {where}{f' ({said})' if said else ''} in job queue "
            f"{self._stack.job_queue}. {advice}"
        )
