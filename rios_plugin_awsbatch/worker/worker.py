"""The worker: receives tasks, has them computed, replies; the container's entry point.

::

    fetcher thread          main thread                    storer thread
    receive, verify,  --->  the compute process     --->   store and announce results,
    download                calls the function             then delete the task messages

    heartbeat thread: while a task is held, its message stays invisible to other workers

A task message is deleted only after its result is announced. What is held when this process is told to stop is handed
back at once; if it is killed, SQS hands the tasks to others when their visibility time-out is over.
"""

import contextlib
import dataclasses
import logging
import platform
import queue
import signal
import threading
import time
from collections.abc import Iterator
from typing import Literal

import cloudpickle

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, is_passing, sentence_for
from rios_plugin_awsbatch.aws.patience import OUTAGE_SECONDS
from rios_plugin_awsbatch.errors import (
    AWSBatchException,
    MessageError,
    TaskLostError,
    UnreadableError,
    VersionMismatchError,
)
from rios_plugin_awsbatch.settings import WorkerSettings
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import (
    Failure,
    Message,
    Payload,
    Stop,
    Task,
    WorkerNotice,
    peek_run,
)
from rios_plugin_awsbatch.wire.queue import LONG_POLL_SECONDS, Received

from .compute import Raised, versions
from .inflight import Answer, Hands, Held
from .process import ComputeProcess
from .replier import Storer

__all__ = ["Stopped", "Worker"]

log = logging.getLogger(__name__)

INLINE_EXCEPTION = 128 * 1024
FETCHER_SECONDS = 1.0
MEMORY_REMEDY = "Give the job definition more memory, or make the blocks smaller."
CRASH_REMEDY = "See the worker's log, and call the function on this block alone."


class Stopped(BaseException):  # not an error; its text says why the worker ends
    """Ends the main thread's loop."""


class Worker:
    """Receives, computes and replies until it is told to stop.

    Args:
        exchange: The run's queues, store and key.
        settings: Time-outs and limits.
        name: How this worker signs its replies.
        clients: Whose requests are counted.
    """

    def __init__(
        self, exchange: Exchange, settings: WorkerSettings, name: str, clients: Clients
    ) -> None:
        self._exchange = exchange
        self._settings = settings
        self._name = name
        self._clients = clients
        self._hands = Hands()
        self._ready: queue.SimpleQueue[Held | BaseException] = queue.SimpleQueue()
        self._storer = Storer(
            exchange,
            self._hands,
            name,
            self._requests,
            self._refusal,
            visibility=settings.visibility_timeout,
        )
        self._fetcher = threading.Thread(target=self._fetch_loop, name="fetcher", daemon=True)

    def run(self, compute: ComputeProcess) -> str:
        """Work until told to stop.

        Returns:
            Why it ended.

        Raises:
            AWSBatchException: It cannot go on.
        """
        storer = threading.Thread(target=self._storer.run, name="storer", daemon=True)
        reason = "an error"
        try:
            storer.start()
            self._fetcher.start()
            threading.Thread(target=self._heartbeat_loop, name="heartbeat", daemon=True).start()
            while True:
                self._compute_next(compute)
        except Stopped as stopped:
            reason = str(stopped)
        except UnreadableError as error:
            self.announce("unfit", str(error))
            raise
        finally:
            self._hand_back(compute, storer, reason)
        return reason

    def announce(self, event: Literal["ready", "gone", "unfit"], detail: str = "") -> None:
        """Tell main that this worker is ready, has gone, or can be of no use."""
        notice = WorkerNotice(
            worker=self._name, event=event, requests=self._requests(), detail=detail
        )
        self._exchange.results.send([self._exchange.encode(notice)])

    # --- main thread

    def _compute_next(self, compute: ComputeProcess) -> None:
        held = self._ready.get()
        if isinstance(held, BaseException):
            raise held
        self._hands.begin()
        content = self._compute(held, compute)
        seconds = self._hands.finish()
        if content is not None:
            self._storer.put(Answer(held, content, seconds))

    def _compute(self, held: Held, compute: ComputeProcess) -> bytes | Failure | None:
        """Return what became of a task, or None if it went back to the queue for another attempt."""
        try:
            reply = compute.call(
                held.task, held.arguments, self._exchange.unpack, self._settings.compression
            )
            return self._failure_from(held.task, reply) if isinstance(reply, Raised) else reply
        except EOFError:
            return self._died(held, compute.replace())
        except (AWSBatchException, *AWS_ERRORS) as error:
            return self._refusal(held.task, error)

    def _died(self, held: Held, how: str) -> Failure | None:
        log.warning("%s attempt=%d its process %s", self._about(held.task), held.attempts, how)
        if held.attempts >= self._settings.max_attempts:
            remedy = MEMORY_REMEDY if "SIGKILL" in how else CRASH_REMEDY
            text = f"{held.task.name}: the process that computed it {how}, {held.attempts} times in a row. {remedy}"
            return self._refusal(held.task, TaskLostError(text))
        self._hands.drop(held.receipt)
        with _logged("hand back a task"):
            self._send_anew([held], failed=1)
        return None

    # --- fetcher thread

    def _fetch_loop(self) -> None:
        idle_since = time.monotonic()
        outage_since: float | None = None
        seen = False
        while (due := self._hands.wait_until_due()) != "stop":
            if due == "hand back":
                self._hand_back_waiting()
                continue
            try:
                found = self._fetch()
            except Exception as error:  # noqa: BLE001 - it passes, or it ends this worker
                outage_since = outage_since or time.monotonic()
                if is_passing(error) and time.monotonic() - outage_since < OUTAGE_SECONDS:
                    log.warning(
                        "run=%s worker=%s trying again to receive: %s", self._run, self._name, error
                    )
                    time.sleep(1)
                    continue
                self._ready.put(self._reason_to_end(error, seen=seen))
                return
            outage_since = None
            seen = seen or found
            if found or self._hands.held():
                idle_since = time.monotonic()
            elif (
                time.monotonic() - max(idle_since, self._hands.busy_until)
                >= self._settings.idle_timeout
            ):
                self._ready.put(Stopped(f"no task for {self._settings.idle_timeout:g} seconds"))
                return

    def _fetch(self) -> bool:
        """Receive and prepare tasks; say whether there were any."""
        wait = min(LONG_POLL_SECONDS, max(1, int(self._settings.idle_timeout)))
        if self._hands.waiting:
            wait = 1  # for what waits here may have to be handed back soon
        begun = time.monotonic()
        received = self._exchange.tasks.receive(
            self._hands.room(), wait=wait, visibility=self._settings.visibility_timeout
        )
        received_at = time.monotonic()
        tasks: list[Held] = []
        for position, message in enumerate(received):
            content = self._decoded(message)
            if isinstance(content, Task):
                tasks.append(Held(content, message.receipt, content.failed + message.attempts))
            elif isinstance(content, Stop):
                self._exchange.tasks.delete([message.receipt])
                self._exchange.tasks.extend(
                    [other.receipt for other in received[position + 1 :]], 0
                )
                self._hands.stop()
                self._ready.put(Stopped("the run is over"))
                break
        if self._hands.stopping:
            self._send_anew(tasks)
            tasks = []
        self._hands.take(
            *tasks
        )  # all of them, so that none becomes visible while another one is downloaded
        for held in tasks:
            self._prepare(held)
        if received:
            self._hands.fetched(
                received_at - begun, (time.monotonic() - received_at) / len(received)
            )
        return bool(received)

    def _hand_back_waiting(self) -> None:
        """Give the tasks that wait for their turn to the other workers."""
        waiting: list[Held] = []
        with contextlib.suppress(queue.Empty):
            while True:
                held = self._ready.get_nowait()
                assert isinstance(
                    held, Held
                )  # only this thread puts in what ends the worker, and ends itself then
                waiting.append(held)
        self._hands.returned(len(waiting))
        with _logged("hand back tasks"):
            self._send_anew(waiting)
        self._hands.drop(*(held.receipt for held in waiting))
        log.info("run=%s worker=%s tasks handed back: %d", self._run, self._name, len(waiting))

    def _decoded(self, message: Received) -> Message | None:
        """Return the content of a message; None if it must be left alone."""
        try:
            return self._exchange.decode(message.body)
        except UnreadableError:
            raise  # this worker is of no use, and says so
        except MessageError as error:
            log.error("run=%s worker=%s %s", self._run, self._name, error)  # noqa: TRY400 - the sentence is enough
        if peek_run(message.body) in (
            None,
            self._run,
        ):  # it can never be of use; another run's may be, to that one
            self._exchange.tasks.delete([message.receipt])
        return None

    def _prepare(self, held: Held) -> None:
        """Download what the task needs, and put it into the main thread's hands."""
        try:
            self._check(held)
            ready = dataclasses.replace(held, arguments=self._exchange.unpack(held.task.arguments))
        except (AWSBatchException, *AWS_ERRORS) as error:
            self._storer.put(Answer(held, self._refusal(held.task, error)))
            return
        self._hands.prepared()
        self._ready.put(ready)

    def _check(self, held: Held) -> None:
        """Refuse a task that must not be unpickled here, or that has ended too many workers."""
        task = held.task
        if held.attempts > self._settings.max_attempts:
            vanished = f"{task.name}: every worker that received it vanished ({held.attempts - 1})"
            raise TaskLostError(
                f"{vanished}, most likely because it ran out of memory. {MEMORY_REMEDY}"
            )
        python = ".".join(platform.python_version_tuple()[:2])
        major = int(cloudpickle.__version__.partition(".")[0])
        if (task.python, task.cloudpickle) != (python, major):
            raise VersionMismatchError(
                f"Main runs Python {task.python} with cloudpickle {task.cloudpickle}, worker {self._name} runs Python "
                f"{python} with cloudpickle {major}: they cannot exchange functions. Build the image with main's "
                "Python, or run main in the image."
            )

    def _reason_to_end(self, error: Exception, *, seen: bool) -> BaseException:
        url = self._exchange.tasks.url
        if isinstance(error, AWSBatchException):
            return error
        if is_missing_queue(error) and seen:
            return Stopped("the run's queue is gone")
        if is_missing_queue(error):
            return AWSBatchException(
                f"Queue {url} does not exist: the run has ended, or RIOS_AWSBATCH_IN_QUEUE is not the URL of its queue."
            )
        return AWSBatchException(
            f"Worker {self._name} cannot receive from queue {url}: {sentence_for(error)}"
        )

    # --- heartbeat thread

    def _heartbeat_loop(self) -> None:
        while not self._hands.stopping:
            time.sleep(self._settings.visibility_timeout / 3)
            receipts = [held.receipt for held in self._hands.held()]
            with _logged("extend the visibility of tasks"):
                self._exchange.tasks.extend(receipts, self._settings.visibility_timeout)

    # --- the end

    def _hand_back(self, compute: ComputeProcess, storer: threading.Thread, reason: str) -> None:
        """Give every unfinished task to the other workers, and deliver what is finished."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it asks for what is being done
        self._hands.stop()
        compute.kill()
        self._storer.put_last()
        storer.join(timeout=10)
        unfinished = self._hands.held()
        with _logged("hand back tasks"):
            self._send_anew(unfinished)
            if (
                unfinished and self._fetcher.is_alive()
            ):  # its request may wait at the queue, and get one of them
                self._fetcher.join(timeout=FETCHER_SECONDS)
        log.info(
            "run=%s worker=%s ends: %s; tasks handed back: %d",
            self._run,
            self._name,
            reason,
            len(unfinished),
        )
        with _logged("say goodbye"):
            self.announce("gone", reason)

    def _send_anew(self, tasks: list[Held], *, failed: int = 0) -> None:
        """Send tasks anew and delete their messages; SQS alone would count this worker's attempt as a failed one.

        Args:
            tasks: The tasks.
            failed: How many of this worker's attempts count: none where it has been told to stop.
        """
        anew = [
            held.task.model_copy(update={"failed": held.attempts - 1 + failed}) for held in tasks
        ]
        self._exchange.tasks.send([self._exchange.encode(task) for task in anew])
        self._exchange.tasks.delete([held.receipt for held in tasks])

    # --- small things

    @property
    def _run(self) -> str:
        return self._exchange.key.run

    def _requests(self) -> int:
        return self._clients.requests

    def _about(self, task: Task) -> str:
        return f"run={self._run} task={task.task} block={task.name!r} worker={self._name}"

    def _refusal(self, task: Task, error: Exception) -> Failure:
        return Failure(
            task=task.task,
            worker=self._name,
            requests=self._requests(),
            reason="lost" if isinstance(error, TaskLostError) else "refused",
            error=type(error).__name__,
            text=sentence_for(error),
            versions=versions(),
        )

    def _failure_from(self, task: Task, raised: Raised) -> Failure:
        exception: Payload | None = None
        if raised.exception is not None:
            room = min(INLINE_EXCEPTION, self._exchange.inline_limit)
            exception = self._exchange.pack(
                raised.exception, f"errors/{task.task}-{self._name}", room
            )
        fields = {**vars(raised), "exception": exception}
        return Failure(task=task.task, worker=self._name, requests=self._requests(), **fields)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log an error instead of raising it: what is not done now, SQS does in time."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        if not is_missing_queue(error):
            log.warning("cannot %s: %s", what, sentence_for(error))
