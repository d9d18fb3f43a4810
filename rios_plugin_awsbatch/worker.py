"""The worker: receives tasks, has them computed, replies; the container's entry point.

::

    fetcher thread          main thread                    storer thread
    receive, verify,  --->  the compute process     --->   store and announce results,
    download                calls the function             then delete the task messages

    heartbeat thread: while a task is held, its message stays invisible to other workers

A task message is deleted only after its result is announced. What is held when this process is told to stop is handed
back at once; if it is killed, SQS hands the tasks to others when their visibility time-out is over.
"""

import argparse
import contextlib
import dataclasses
import logging
import os
import platform
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Literal, NoReturn

import botocore.exceptions
import cloudpickle

from ._version import __version__
from .awserrors import is_missing_queue, is_passing, sentence_for
from .compute import Raised, versions
from .errors import AWSBatchException, MessageError, TaskLostError, VersionMismatchError
from .exchange import LONG_POLL_SECONDS, Clients, Exchange, MessageQueue, PayloadStore, Received
from .messages import Failure, Message, Payload, Result, RunKey, Stop, Task, WorkerNotice, peek_run
from .process import ComputeProcess
from .settings import WorkerSettings, load

__all__ = ["Worker", "main"]

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.2  # so much work a worker takes at once, where tasks are quicker than their transport
BATCH_TASKS = 10
DELETE_LINGER_SECONDS = 2.0
RESULTS_WAITING = 4
OUTAGE_SECONDS = 300.0  # AWS may be out of reach for so long before a worker gives up
REMEDY = "Give the job definition more memory, or make the blocks smaller; see the worker's log for a crash."


class _Stopped(BaseException):  # not an error; its text says why the worker ends
    """Ends the main thread's loop."""


@dataclasses.dataclass(frozen=True)
class _Held:
    """A task that this worker has received and not answered yet."""

    task: Task
    receipt: str
    attempts: int
    arguments: bytes = b""


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What the storer has to announce: a pickled result, or a failure."""

    held: _Held
    content: bytes | Failure
    seconds: float = 0.0


class Worker:
    """Receives, computes and replies until it is told to stop.

    Args:
        exchange: The run's queues, store and key.
        settings: Time-outs and limits.
        name: How this worker signs its replies.
        clients: Whose requests are counted.
    """

    def __init__(self, exchange: Exchange, settings: WorkerSettings, name: str, clients: Clients) -> None:
        self._exchange = exchange
        self._settings = settings
        self._name = name
        self._clients = clients
        self._ready: queue.SimpleQueue[_Held | BaseException] = queue.SimpleQueue()
        self._answers: queue.Queue[_Answer | None] = queue.Queue(RESULTS_WAITING)
        self._state = threading.Condition()
        self._held: dict[str, _Held] = {}  # by receipt
        self._waiting = 0  # tasks fetched and not begun
        self._begun: float | None = None  # when the task in hand was begun
        self._typical: float | None = None  # seconds that recent tasks took
        self._fetch_seconds = 0.05
        self._stopping = False

    def run(self, compute: ComputeProcess) -> str:
        """Work until told to stop.

        Returns:
            Why it ended.

        Raises:
            AWSBatchException: It cannot go on.
        """
        storer = threading.Thread(target=self._store_loop, name="storer", daemon=True)
        reason = "an error"
        try:
            storer.start()
            threading.Thread(target=self._fetch_loop, name="fetcher", daemon=True).start()
            threading.Thread(target=self._heartbeat_loop, name="heartbeat", daemon=True).start()
            while True:
                self._compute_next(compute)
        except _Stopped as stopped:
            reason = str(stopped)
        finally:
            self._hand_back(compute, storer, reason)
        return reason

    def announce(self, event: Literal["ready", "gone"], detail: str = "") -> None:
        """Tell main that this worker is ready, or has gone."""
        notice = WorkerNotice(worker=self._name, event=event, requests=self._requests(), detail=detail)
        self._exchange.results.send([self._exchange.encode(notice)])

    # --- main thread

    def _compute_next(self, compute: ComputeProcess) -> None:
        held = self._ready.get()
        if isinstance(held, BaseException):
            raise held
        begun = time.monotonic()
        with self._state:
            self._waiting -= 1
            self._begun = begun
            self._state.notify_all()
        content = self._compute(held, compute)
        seconds = time.monotonic() - begun
        with self._state:
            self._begun = None
            self._typical = seconds if self._typical is None else 0.7 * self._typical + 0.3 * seconds
            self._state.notify_all()
        if content is not None:
            self._answers.put(_Answer(held, content, seconds))

    def _compute(self, held: _Held, compute: ComputeProcess) -> bytes | Failure | None:
        """Return what became of a task, or None if it went back to the queue for another attempt."""
        try:
            reply = compute.call(held.task, held.arguments, self._exchange.unpack, self._settings.compression)
            return self._failure_from(held.task, reply) if isinstance(reply, Raised) else reply
        except EOFError:
            return self._died(held, compute.replace())
        except (AWSBatchException, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            return self._refusal(held.task, error)

    def _died(self, held: _Held, how: str) -> Failure | None:
        log.warning("%s attempt=%d its process %s", self._about(held.task), held.attempts, how)
        if held.attempts >= self._settings.max_attempts:
            text = f"{held.task.name}: the process that computed it {how}, {held.attempts} times in a row. {REMEDY}"
            return self._refusal(held.task, TaskLostError(text))
        with self._state:
            self._held.pop(held.receipt, None)
        with _logged("hand back a task"):
            self._exchange.tasks.extend([held.receipt], 0)
        return None

    # --- fetcher thread

    def _fetch_loop(self) -> None:
        idle_since = time.monotonic()
        outage_since: float | None = None
        seen = False
        while self._wait_until_due():
            try:
                found = self._fetch()
            except Exception as error:  # noqa: BLE001 - it passes, or it ends this worker
                outage_since = outage_since or time.monotonic()
                if is_passing(error) and time.monotonic() - outage_since < OUTAGE_SECONDS:
                    log.warning("run=%s worker=%s trying again to receive: %s", self._run, self._name, error)
                    time.sleep(1)
                    continue
                self._ready.put(self._reason_to_end(error, seen=seen))
                return
            outage_since = None
            seen = seen or found
            if found or self._held:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= self._settings.idle_timeout:
                self._ready.put(_Stopped(f"no task for {self._settings.idle_timeout:g} seconds"))
                return

    def _wait_until_due(self) -> bool:
        """Wait until it is time to fetch; say False when it is time to stop instead.

        Time is at once for an idle worker. A busy one fetches so early that it need not wait, but no earlier: a task
        that waits here is one that an idle worker elsewhere cannot have.
        """
        with self._state:
            while not self._stopping:
                if self._waiting == 0 and self._begun is None:
                    return True
                if self._typical is None:
                    self._state.wait()
                    continue
                now = time.monotonic()
                remaining = self._typical * (self._waiting + 1) - (now - (self._begun or now))
                early = remaining - 2 * self._fetch_seconds
                if early <= 0 and self._waiting < BATCH_TASKS:
                    return True
                self._state.wait(max(early, 0.001))
        return False

    def _fetch(self) -> bool:
        """Receive and prepare tasks; say whether there were any."""
        maximum = 1 if self._typical is None else int(BATCH_SECONDS / max(self._typical, 1e-3))
        wait = min(LONG_POLL_SECONDS, max(1, int(self._settings.idle_timeout)))
        begun = time.monotonic()
        received = self._exchange.tasks.receive(
            min(max(maximum, 1), BATCH_TASKS), wait=wait, visibility=self._settings.visibility_timeout
        )
        for position, message in enumerate(received):
            content = self._decoded(message)
            if isinstance(content, Task):
                self._prepare(_Held(content, message.receipt, message.attempts))
            elif isinstance(content, Stop):
                self._exchange.tasks.delete([message.receipt])
                self._exchange.tasks.extend([other.receipt for other in received[position + 1 :]], 0)
                self._stopping = True
                self._ready.put(_Stopped("the run is over"))
                break
        taken = time.monotonic() - begun
        if received and taken < 1:  # else most of it was waiting for a task to come
            self._fetch_seconds = 0.7 * self._fetch_seconds + 0.3 * taken
        return bool(received)

    def _decoded(self, message: Received) -> Message | None:
        """Return the content of a message; None if it must be left alone."""
        try:
            return self._exchange.decode(message.body)
        except MessageError as error:
            log.error("run=%s worker=%s %s", self._run, self._name, error)  # noqa: TRY400 - the sentence is enough
        if peek_run(message.body) in (None, self._run):  # it can never be of use; another run's may be, to that one
            self._exchange.tasks.delete([message.receipt])
        return None

    def _prepare(self, held: _Held) -> None:
        """Download what the task needs, and put it into the main thread's hands."""
        with self._state:
            self._held[held.receipt] = held
        try:
            self._check(held)
            ready = dataclasses.replace(held, arguments=self._exchange.unpack(held.task.arguments))
        except (AWSBatchException, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            self._answers.put(_Answer(held, self._refusal(held.task, error)))
            return
        with self._state:
            self._waiting += 1
        self._ready.put(ready)

    def _check(self, held: _Held) -> None:
        """Refuse a task that must not be unpickled here, or that has ended too many workers."""
        task = held.task
        if held.attempts > self._settings.max_attempts:
            raise TaskLostError(f"{task.name}: every worker that received it vanished ({held.attempts - 1}). {REMEDY}")
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
        if is_missing_queue(error) and seen:
            return _Stopped("the run's queue is gone")
        if is_missing_queue(error):
            return AWSBatchException(
                f"Queue {url} does not exist: the run has ended, or RIOS_AWSBATCH_IN_QUEUE is not the URL of its queue."
            )
        return AWSBatchException(f"Worker {self._name} cannot receive from queue {url}: {sentence_for(error)}")

    # --- storer thread

    def _store_loop(self) -> None:
        done: list[str] = []
        oldest = time.monotonic()
        more = True
        while more:
            answers = self._waiting_answers(oldest + DELETE_LINGER_SECONDS - time.monotonic() if done else None)
            more = None not in answers
            announced = self._announce([answer for answer in answers if answer is not None])
            if not done:
                oldest = time.monotonic()
            done += announced
            if len(done) >= BATCH_TASKS or not more or time.monotonic() - oldest >= DELETE_LINGER_SECONDS:
                with _logged("delete task messages"):
                    self._exchange.tasks.delete(done)
                done = []

    def _waiting_answers(self, timeout: float | None) -> list[_Answer | None]:
        """Return all answers that wait; none if there are none for `timeout` seconds."""
        answers: list[_Answer | None] = []
        with contextlib.suppress(queue.Empty):
            answers.append(self._answers.get(timeout=None if timeout is None else max(timeout, 0)))
            while len(answers) < BATCH_TASKS:
                answers.append(self._answers.get_nowait())
        return answers

    def _announce(self, answers: list[_Answer]) -> list[str]:
        """Store and send `answers`; return the receipts of the tasks that are done with."""
        try:
            self._exchange.results.send([self._exchange.encode(self._reply(answer)) for answer in answers])
        except Exception as error:  # noqa: BLE001 - the tasks stay with SQS, which hands them out again
            log.log(
                logging.DEBUG if is_missing_queue(error) else logging.ERROR,
                "run=%s worker=%s cannot announce results: %s", self._run, self._name, sentence_for(error),
            )  # fmt: skip
            announced = []
        else:
            announced = [answer.held.receipt for answer in answers]
        with self._state:
            for answer in answers:
                self._held.pop(answer.held.receipt, None)
        return announced

    def _reply(self, answer: _Answer) -> Result | Failure:
        task = answer.held.task
        reply: Result | Failure
        if isinstance(answer.content, Failure):
            reply, size = answer.content, 0
        else:
            size = len(answer.content)
            name = f"results/{task.task}-{self._name}-{answer.held.attempts}"
            try:
                payload = self._exchange.pack(answer.content, name)
                reply = Result(task=task.task, worker=self._name, requests=self._requests(), payload=payload)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                where = self._exchange.store.bucket
                reply = self._refusal(
                    task, AWSBatchException(f"{task.name}: cannot store its result in {where}: {sentence_for(error)}")
                )
        outcome = reply.reason if isinstance(reply, Failure) else "done"
        log.info(
            "%s attempt=%d seconds=%.3f bytes_in=%d bytes_out=%d %s",
            self._about(task), answer.held.attempts, answer.seconds, len(answer.held.arguments), size, outcome,
        )  # fmt: skip
        return reply

    # --- heartbeat thread

    def _heartbeat_loop(self) -> None:
        while not self._stopping:
            time.sleep(self._settings.visibility_timeout / 3)
            with self._state:
                receipts = [] if self._stopping else list(self._held)
            with _logged("extend the visibility of tasks"):
                self._exchange.tasks.extend(receipts, self._settings.visibility_timeout)

    # --- the end

    def _hand_back(self, compute: ComputeProcess, storer: threading.Thread, reason: str) -> None:
        """Give every unfinished task to the other workers, and deliver what is finished."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        compute.kill()
        self._answers.put(None)
        storer.join(timeout=10)
        with self._state:
            unfinished = list(self._held.values())
        with _logged("hand back tasks"):
            self._return(unfinished)
        log.info("run=%s worker=%s ends: %s; tasks handed back: %d", self._run, self._name, reason, len(unfinished))
        with _logged("say goodbye"):
            self.announce("gone", reason)

    def _return(self, unfinished: list[_Held]) -> None:
        """Send tasks anew and delete their messages: that this worker was told to stop counts as no attempt."""
        self._exchange.tasks.send([self._exchange.encode(held.task) for held in unfinished])
        self._exchange.tasks.delete([held.receipt for held in unfinished])

    # --- small things

    @property
    def _run(self) -> str:
        return self._exchange.key.run

    def _requests(self) -> int:
        return sum(self._clients.requests.values())

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
            exception = self._exchange.pack(raised.exception, f"errors/{task.task}-{self._name}")
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


def _stop(signal_number: int, _frame: object) -> NoReturn:
    signal.signal(signal_number, signal.SIG_IGN)
    raise _Stopped(f"told to by {signal.Signals(signal_number).name}")


def _worker_name() -> str:
    job = os.environ.get("AWS_BATCH_JOB_ID", f"{socket.gethostname()}-{os.getpid()}")
    return job.replace(":", "-")


def work() -> None:
    """Work as the environment says.

    Raises:
        AWSBatchException: The worker cannot work; one clear sentence.
    """
    settings = load(WorkerSettings)
    compute = ComputeProcess()  # starts while the clients are made
    clients = Clients(settings.region)
    name = _worker_name()
    try:
        exchange = Exchange(
            MessageQueue(clients.sqs, settings.in_queue),
            MessageQueue(clients.sqs, settings.out_queue),
            PayloadStore(clients.s3, settings.bucket, f"runs/{settings.run}/"),
            RunKey(settings.run, settings.run_key),
            settings.inline_limit,
        )
        worker = Worker(exchange, settings, name, clients)
        signal.signal(signal.SIGTERM, _stop)
        worker.announce("ready", versions())
        log.info("run=%s worker=%s is ready: %s", settings.run, name, versions())
        worker.run(compute)
    except _Stopped as stopped:
        compute.kill()
        log.info("run=%s worker=%s ends: %s", settings.run, name, stopped)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        compute.kill()
        raise AWSBatchException(f"Worker {name} of run {settings.run} cannot work: {sentence_for(error)}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script ``rios-awsbatch-worker``; exits 0 when told to stop or idle too long."""
    parser = argparse.ArgumentParser(
        prog="rios-awsbatch-worker",
        description="Computes the tasks of a run of rios-plugin-awsbatch. AWS Batch starts it; everything it needs "
        "is in the environment (RIOS_AWSBATCH_*), which the run sets.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.parse_args(arguments)
    logging.basicConfig(
        level=os.environ.get("RIOS_AWSBATCH_LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        work()
    except AWSBatchException as error:
        sys.exit(f"rios-awsbatch-worker: {error}")
