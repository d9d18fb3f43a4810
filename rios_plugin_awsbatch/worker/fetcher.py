"""From the tasks queue to the worker: received, verified, and downloaded before they are needed."""

import dataclasses
import logging
import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, sentence_for
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import (
    AWSBatchException,
    MessageError,
    TaskLostError,
    UnreadableError,
    VersionMismatchError,
)
from rios_plugin_awsbatch.settings import WorkerSettings
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Message, Stop, Task, peek_run
from rios_plugin_awsbatch.wire.queue import LONG_POLL_SECONDS, Received
from rios_plugin_awsbatch.wire.versions import CLOUDPICKLE, PYTHON

from .answers import Answers, Refused
from .inflight import Ending, HeldTask, InFlight
from .replier import Replier

__all__ = ["MEMORY_REMEDY", "Fetcher"]

log = logging.getLogger(__name__)

# Chance does not take so many machines from one block, at any rate at which Spot machines are worth
# their price.
MACHINES_LOST: Final = 10
MEMORY_REMEDY: Final = "Give the job definition more memory, or make the blocks smaller."


class Fetcher:
    """Fetches tasks when they are due, in a thread of its own; may find that the worker must end.

    Args:
        exchange: The run's queues and store.
        in_flight: Says when to fetch, and takes the tasks.
        answers: Hands tasks back.
        replier: Refuses tasks that cannot be computed here.
        settings: Time-outs and limits.
        worker: The worker's name.
        ended: Ends the waiting during an outage.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the worker that it connects
        self,
        exchange: Exchange,
        in_flight: InFlight,
        answers: Answers,
        replier: Replier,
        settings: WorkerSettings,
        worker: str,
        ended: threading.Event,
    ) -> None:
        self._exchange = exchange
        self._in_flight = in_flight
        self._answers = answers
        self._replier = replier
        self._settings = settings
        self._run = exchange.key.run
        self._worker = worker
        self._patience = Patience(ended=ended, renewal=exchange.renewal)
        self._thread = threading.Thread(target=self._loop, name="fetcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, for so many seconds at most."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _loop(self) -> None:
        what = f"receive tasks of run {self._run} as worker {self._worker}"
        idle_timeout = self._settings.idle_timeout
        received_before = False
        while (due := self._in_flight.wait_until_due()) != "end":
            if due == "hand back":
                self._hand_back_waiting()
                continue
            try:
                received = self._patience.call(self._fetch, what=what)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends this worker
                self._in_flight.end(self._ending_for(error, received_before=received_before))
                return
            received_before = received_before or received
            if not received and self._in_flight.idle_seconds >= idle_timeout:
                self._in_flight.end(Ending(f"no task for {idle_timeout:g} seconds"))

    def _fetch(self) -> bool:
        """Receive and prepare tasks; return whether any message came."""
        wait = min(LONG_POLL_SECONDS, max(1, int(self._settings.idle_timeout)))
        if self._in_flight.waiting:
            wait = 1  # the tasks that wait here may have to be handed back soon
        begun = time.monotonic()
        messages = self._exchange.tasks.receive(
            self._in_flight.room(), wait=wait, visibility=self._settings.visibility_timeout
        )
        received_at = time.monotonic()
        tasks = self._tasks_in(messages)
        # All at once, so that none becomes visible while another one is downloaded.
        if not self._in_flight.hold(tasks):
            self._answers.send_anew(tasks)
            return bool(messages)
        for held in tasks:
            self._prepare(held)
        if messages:
            preparing = (time.monotonic() - received_at) / len(messages)
            self._in_flight.note_fetch(received_at - begun, preparing)
        return bool(messages)

    def _tasks_in(self, messages: list[Received]) -> list[HeldTask]:
        """Return the tasks among messages, up to one that says that the run is over."""
        tasks = []
        for position, message in enumerate(messages):
            content = self._decoded(message)
            if isinstance(content, Task):
                # Who hands a task back sends it anew: who had received this message has vanished.
                vanished = content.vanished + message.attempts - 1
                tasks.append(
                    HeldTask(content, message.receipt, content.failed + 1, vanished=vanished)
                )
            elif isinstance(content, Stop):
                self._exchange.tasks.delete([message.receipt])
                others = [other.receipt for other in messages[position + 1 :]]
                self._exchange.tasks.extend(others, 0)
                self._in_flight.end(Ending("the run is over"))
                break
        return tasks

    def _decoded(self, message: Received) -> Message | None:
        """Return the content of a message; None if it must be left alone."""
        try:
            return self._exchange.decode(message.body)
        except UnreadableError:
            raise  # this worker is of no use, and says so
        except MessageError as error:
            log.error("run=%s worker=%s %s", self._run, self._worker, error)  # noqa: TRY400 - one sentence is enough
        # Another run's message may be of use to that run; this one never can be.
        if peek_run(message.body) in (None, self._run):
            self._exchange.tasks.delete([message.receipt])
        return None

    def _prepare(self, held: HeldTask) -> None:
        """Download what a task needs, and let it wait for its turn."""
        try:
            self._check(held)
            arguments = self._exchange.unpack(held.task.arguments)
        except (AWSBatchException, *AWS_ERRORS) as error:
            self._replier.put(held, Refused(error))
            return
        self._in_flight.add_waiting(dataclasses.replace(held, arguments=arguments))

    def _check(self, held: HeldTask) -> None:
        """Refuse a task that has lost too many machines, or that must not be unpickled here."""
        task = held.task
        if held.vanished >= MACHINES_LOST:
            raise TaskLostError(
                f"{task.name}: machine lost, {held.vanished} times in a row: the workers that "
                "received it vanished or were told to stop. If Batch gives no reason, see whether "
                "the block takes more memory than the machine has, and whether Spot machines are "
                "reclaimed before it is done."
            )
        if (task.python, task.cloudpickle) != (PYTHON, CLOUDPICKLE):
            raise VersionMismatchError(
                f"Main runs Python {task.python} with cloudpickle {task.cloudpickle}, worker "
                f"{self._worker} runs Python {PYTHON} with cloudpickle {CLOUDPICKLE}: they cannot "
                "exchange functions. Build the image with main's Python, or run main in the image."
            )

    def _hand_back_waiting(self) -> None:
        """Give the tasks that wait for their turn to other workers."""
        waiting = self._in_flight.take_waiting()
        with attempted(self._run, "hand back tasks", queue_may_be_gone=True):
            self._answers.send_anew(waiting)
        self._in_flight.drop(waiting)
        log.info("run=%s worker=%s tasks handed back: %d", self._run, self._worker, len(waiting))

    def _ending_for(self, error: Exception, *, received_before: bool) -> Ending:
        if is_missing_queue(error) and received_before:
            return Ending("the run's queue is gone")
        url = self._exchange.tasks.url
        if isinstance(error, AWSBatchException):
            explained = error
        elif is_missing_queue(error):
            explained = AWSBatchException(
                f"Queue {url} does not exist: the run has ended, or RIOS_AWSBATCH_IN_QUEUE is not "
                "the URL of its queue."
            )
        else:
            explained = AWSBatchException(
                f"Worker {self._worker} cannot receive from queue {url}: {sentence_for(error)}"
            )
        return Ending("an error", explained)
