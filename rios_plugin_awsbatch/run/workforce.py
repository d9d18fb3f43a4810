"""The workers of a run as Batch jobs: submitted, replaced within reason, ended."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

from .explanations import LastWords, sentence_about_ended, sentence_about_late
from .inventory import Inventory
from .launch import JobState, WorkerJob
from .launcher import Launcher
from .queue_watch import QueueWatch
from .replacements import Replacements
from .roster import Roster
from .waiting import Startup, Waiting

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["Workforce"]

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
# What a terminated worker still stores must not come after the objects are deleted.
TERMINATION_SECONDS: Final = 3.0


class Workforce:
    """Keeps as many workers as are wanted, and says when that is hopeless.

    `start` and `look` are called by one thread at a time; `want` by any.

    Args:
        batch: The Batch client.
        stack: Names the job queue and the job definition.
        run_id: The run's id, which names the jobs.
        overrides: The workers' container overrides.
        roster: Who has been ready, and has gone.
        inventory: Names each launch before it is made.
        wanted: How many workers.
        replacements: How often failed workers are replaced by new jobs, beyond Batch's own retries.
        startup_timeout: Seconds until the first worker must be ready, once Batch could start it.
        wait_for_capacity: Seconds to wait for places that others have; None for any time.
        last_words: Says how the logs of workers end, from Batch's descriptions of them.
        submit_job: SubmitJob of a client that does not repeat it unseen; `batch`'s by default.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is one fact, given once, by name
        self,
        batch: "BatchClient",
        stack: StackOutputs,
        run_id: str,
        overrides: Any,
        roster: Roster,
        inventory: Inventory,
        *,
        wanted: int,
        replacements: int,
        startup_timeout: float,
        wait_for_capacity: float | None = None,
        last_words: LastWords = lambda _jobs: (),
        submit_job: Callable[..., Any] | None = None,
    ) -> None:
        self._stack = stack
        self._run_id = run_id
        self._roster = roster
        self._inventory = inventory
        self._launcher = Launcher(
            batch, stack, run_id, overrides, inventory, submit_job or batch.submit_job
        )
        self._replacements = Replacements(replacements, roster)
        self._startup = Startup(
            roster, startup_timeout, wait_for_capacity, QueueWatch(batch, stack.job_queue)
        )
        self._last_words = last_words
        self._changing = threading.Lock()  # guards all that follows
        self._wanted = wanted
        self._provided = 0  # of the workers wanted, those for which jobs have been submitted
        self._jobs: list[WorkerJob] = []
        self._never_known: list[WorkerJob] = []  # earlier ones that Batch may still start
        self._ended = False

    def want(self, workers: int) -> None:
        """Let there be at least `workers` workers, from the next look on."""
        with self._changing:
            self._wanted = max(self._wanted, workers)

    @property
    def wanted(self) -> int:
        """How many workers there should be."""
        with self._changing:
            return self._wanted

    @property
    def missing(self) -> int:
        """How many workers are wanted for which no job has been submitted yet."""
        with self._changing:
            return self._wanted - self._provided

    @property
    def jobs(self) -> tuple[WorkerJob, ...]:
        """The jobs."""
        with self._changing:
            return tuple(self._jobs)

    def waiting(self) -> Waiting | None:
        """Return how the workers were at the latest look; None if one of them has been ready."""
        return self._startup.waiting

    def start(self) -> None:
        """Start the workers.

        Raises:
            WorkersError: Batch does not take the job.
        """
        with explained(WorkersError, f"Cannot start workers of {self._stack}"):
            self._launch_wanted()

    def look(self, pending: int) -> None:
        """Look at the workers; start some where `pending` tasks need them.

        Raises:
            WorkersError: No worker can be expected any more.
        """
        self._launch_wanted()
        self._launcher.end_surplus()
        jobs = self.jobs
        states = self._startup.look(jobs)
        self._roster.note_reasons(
            tuple(dict.fromkeys(reason for state in states for reason in state.reasons))
        )
        if not any(state.unfinished for state in states):
            self._replace_all(pending, states)
        elif problem := self._startup.problem:
            latest = self._startup.latest or Waiting.of(0, states)
            late = sentence_about_late(self._run_id, jobs, latest, self._last_words)
            raise WorkersError(f"{problem} In job queue {self._stack.job_queue}: {late}")
        else:
            alive = sum(state.unfinished for state in states)
            lost = self._replacements.not_replaced(states, min(self.wanted, pending) - alive)
            missing = min(self.wanted, pending) - alive - lost
            if missing > 0:
                self._launch(missing)

    def end(self, grace: float) -> None:
        """End all workers. The thread that is just submitting a job ends that one.

        Args:
            grace: Seconds for workers that were told to stop. Those that have not gone by then
                are terminated.
        """
        self._launcher.stop()
        with self._changing:
            self._ended = True
            jobs = (*self._jobs, *self._never_known)
        self._wait_until_gone(grace)
        gone = self._roster.gone_of([job.job_id for job in jobs])
        if self._roster.present or gone < sum(job.size for job in jobs):
            certain = [job.end(f"Run {self._run_id} is over") for job in jobs]
            if not all(certain):
                self._inventory.keep()
            self._wait_until_gone(TERMINATION_SECONDS)
        self._launcher.close()

    def wait_until_ended(self, seconds: float) -> None:
        """Wait until Batch has ended all workers, for so many seconds at most."""
        deadline = time.monotonic() + seconds
        while not self._all_ended() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS / 2)

    # Launching

    def _launch_wanted(self) -> None:
        count = self.missing
        if count > 0:
            self._launch(count)
            with self._changing:
                self._provided += count

    def _launch(self, count: int) -> None:
        for job in self._launcher.launch(count):
            with self._changing:
                self._jobs.append(job)
                ended = self._ended
                ids = [known.job_id for known in self._jobs]
            if ended:
                job.end(f"Run {self._run_id} is over")
                return
            # The inventory has the job's name already.
            with attempted(self._run_id, f"note job {job.job_id} in the run's record"):
                self._inventory.write(jobs=ids)
        log.info(
            "run=%s workers=%d submitted to queue %s", self._run_id, count, self._stack.job_queue
        )

    def _replace_all(self, pending: int, states: Sequence[JobState]) -> None:
        """Start workers where there are none, who then have the whole start-up time."""
        ready = self._roster.ready_since_launch
        if not self._replacements.may_start_again(states):
            if not self._startup.explained(states):
                return  # Batch tells why a moment later
            never = "" if ready else " and none of the last ones was ready"
            ends = sentence_about_ended(self.jobs, self._roster, self._last_words)
            raise WorkersError(f"All workers of run {self._run_id} have ended{never}: {ends}")
        self._startup.begin()
        with self._changing:
            self._never_known += [job for job in self._jobs if not job.described]
            self._jobs = []
        self._launch(min(self.wanted, pending))

    # Ending

    def _wait_until_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._roster.present and (left := deadline - time.monotonic()) > 0:
            said = self._roster.wait_for_change(min(left, LOOK_SECONDS))
            if not said and self._all_ended():  # one that was killed says nothing
                return

    def _all_ended(self) -> bool:
        try:
            return not any(job.state().unfinished for job in self.jobs)
        except Exception as error:  # noqa: BLE001 - then the time that is left is waited
            log.debug("run=%s cannot look at the workers: %s", self._run_id, error)
            return False
