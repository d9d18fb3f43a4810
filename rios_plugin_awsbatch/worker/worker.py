"""The worker: receives tasks, has them computed, and replies, until it is told to stop.

The threads of the worker, and the process that computes::

    SQS tasks, S3
       |
       v
    fetcher (1)       receives, verifies, downloads arguments; hands back what waits for too long
       |        |
       |        '---- tasks that cannot be computed here --------.
       |  waiting tasks                                          |
       v                                                         |
    main thread       takes a task, downloads its function;      |
       |     |        replaces the process when it has died      |
       |     |                                                   |
       |     '------ socket pair ------ the process that computes: calls the function
       |                                                         |
       |  outcomes, 4 at most <----------------------------------'
       v
    replier (1)       stores and sends results, then deletes the tasks' messages
       |
       v
    S3, SQS results

    heartbeat (1)     keeps the messages of held tasks invisible to other workers; tells main what
                      is being computed for more than a second
    liveness (1)      looks whether main still renews the run's record; else the worker ends

What they share is in `InFlight`, which one lock guards: the held tasks, those that wait, and why
the worker ends. Outcomes wait in a queue of the replier's. No lock is held during a request.

A task's message is deleted only after its result is sent. What is held when the worker is told to
stop is handed back at once. If the worker is killed, SQS hands its tasks to others when their
visibility time-out is over.
"""

import logging
import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS
from rios_plugin_awsbatch.errors import (
    AWSBatchException,
    TaskLostError,
    UnreadableError,
    WorkersError,
)
from rios_plugin_awsbatch.records import Measured
from rios_plugin_awsbatch.settings import WorkerSettings
from rios_plugin_awsbatch.wire.exchange import Exchange

from .answers import Answers, Outcome, Refused, Withheld
from .fetcher import MEMORY_REMEDY, Fetcher
from .heartbeat import Heartbeat
from .inflight import Ending, HeldTask, InFlight
from .liveness import Liveness
from .process import ComputeProcess, Death
from .replier import Replier
from .withdrawals import Withdrawals

__all__ = ["Worker"]

log = logging.getLogger(__name__)

REPLIER_SECONDS: Final = 10.0
FETCHER_SECONDS: Final = 1.0
OVERDUE_REMEDY: Final = "Allow more time, or call the function on this block alone."
CRASH_REMEDY: Final = "See the worker's log, and call the function on this block alone."


class Worker:
    """A worker of one run.

    Args:
        exchange: The run's queues, store and key.
        settings: Time-outs and limits.
        name: How this worker signs its replies.
        clients: Whose requests are counted.
        compute: The process that computes; the worker ends it.
    """

    def __init__(
        self,
        exchange: Exchange,
        settings: WorkerSettings,
        name: str,
        clients: Clients,
        compute: ComputeProcess,
    ) -> None:
        self._exchange = exchange
        self._settings = settings
        self._run = exchange.key.run
        self._name = name
        self._compute = compute
        self._ended = threading.Event()
        self._in_flight = InFlight()
        self._cut: list[HeldTask] = []  # what it was computing when it was told to stop
        self._answers = Answers(exchange, clients, name, self._ended)
        visibility = settings.visibility_timeout
        self._replier = Replier(exchange, self._answers, self._in_flight, name, visibility)
        self._fetcher = Fetcher(
            exchange, self._in_flight, self._answers, self._replier, settings, name, self._ended
        )
        self._heartbeat = Heartbeat(
            exchange, self._in_flight, self._answers, visibility, self._ended
        )
        self._liveness = Liveness(clients, settings, self.stop, self._ended)
        self._withdrawals = Withdrawals(exchange)

    def announce(self) -> None:
        """Tell main that the worker is ready, as soon as its compute process has started.

        Raises:
            WorkersError: That process has died.
            botocore.exceptions.ClientError: The worker may not send to the queue, for instance.
        """
        try:
            versions = self._compute.versions()
        except EOFError:
            if self._in_flight.interrupted:  # then `stop` has ended the process
                return
            raise WorkersError(
                f"Worker {self._name} of run {self._run} cannot compute: its compute process "
                f"{self._compute.reap()} when it started. The worker's log says more."
            ) from None
        self._answers.announce("ready", str(versions), versions)
        log.info("run=%s worker=%s is ready: %s", self._run, self._name, versions)

    def run(self) -> None:
        """Work until there is a reason to end.

        Raises:
            AWSBatchException: The worker cannot go on.
        """
        reason = "an error"
        try:
            self._replier.start()
            self._fetcher.start()
            self._heartbeat.start()
            self._liveness.start()
            while (held := self._in_flight.begin_next()) is not None:
                outcome = self._outcome_of(held)
                self._in_flight.finish(computed=not isinstance(outcome, Withheld))
                if outcome is not None:
                    self._replier.put(held, outcome)
            ending = self._in_flight.ending
            assert ending is not None
            reason = ending.reason
            if ending.error is not None:
                if isinstance(ending.error, UnreadableError):
                    self._answers.announce("unfit", str(ending.error))
                raise ending.error
        finally:
            self._end(reason)

    def stop(self, reason: str) -> None:
        """Make `run` hand back what the worker holds, and return; for signals and `Liveness`."""
        self._in_flight.interrupt(Ending(reason))
        self._compute.kill()

    def _outcome_of(self, held: HeldTask) -> Outcome | None:
        """Compute a task; None if it is for another attempt, or another worker."""
        if self._withdrawals.include(held.task.task, self._in_flight.typical_seconds):
            return Withheld()
        begun, start = time.time(), time.monotonic()
        try:
            return self._compute.call(
                held.task,
                held.arguments,
                held.attempt,
                self._exchange.unpack,
                self._settings,
            )
        except EOFError:
            if self._in_flight.interrupted:  # then `stop` has ended the process
                self._cut = [held]
                return None
            timing = Measured(begun=begun, seconds=time.monotonic() - start)
            return self._after_death(held, self._compute.replace(), timing)
        except (AWSBatchException, *AWS_ERRORS) as error:
            return Refused(error)

    def _after_death(self, held: HeldTask, death: Death, timing: Measured) -> Refused | None:
        """Have another attempt made at a task whose process died, or give it up."""
        task = held.task
        log.warning(
            "run=%s task=%d block=%r worker=%s attempt=%d its process %s",
            self._run,
            task.task,
            task.name,
            self._name,
            held.attempt,
            death,
        )
        if held.attempt >= self._settings.max_attempts:
            remedy = MEMORY_REMEDY if death.killed else CRASH_REMEDY
            if death.overdue is not None:
                remedy = OVERDUE_REMEDY
            sentence = (
                f"{task.name}: the process that computed it {death}, {held.attempt} times in a "
                f"row. {remedy}"
            )
            stacks = death.overdue.text if death.overdue is not None else ""
            return Refused(TaskLostError(sentence), timing, stacks)
        self._in_flight.drop([held])
        with attempted(self._run, "hand back a task", queue_may_be_gone=True):
            self._answers.send_anew([held], failed=1)
        return None

    def _end(self, reason: str) -> None:
        """Send what is finished, and give what is not to the other workers."""
        self._in_flight.interrupt(Ending(reason))
        self._ended.set()
        self._compute.close()
        self._replier.close(REPLIER_SECONDS)
        unfinished = self._in_flight.held()
        with attempted(self._run, "hand back tasks", queue_may_be_gone=True):
            # Machines that are taken away again and again must not compute a long task for ever.
            self._answers.send_anew([held for held in unfinished if held in self._cut], lost=1)
            self._answers.send_anew([held for held in unfinished if held not in self._cut])
        # It may just be receiving tasks, which it sends anew; or its request, which waits at the
        # queue, gets one of those that were just sent.
        self._fetcher.join(FETCHER_SECONDS)
        log.info(
            "run=%s worker=%s ends: %s; tasks handed back: %d",
            self._run,
            self._name,
            reason,
            len(unfinished),
        )
        with attempted(self._run, "say goodbye", queue_may_be_gone=True):
            self._answers.announce("gone", reason)
