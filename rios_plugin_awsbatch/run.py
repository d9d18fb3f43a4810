"""A run: from a function and its arguments to a future, by way of the workers."""

import contextlib
import dataclasses
import itertools
import logging
import platform
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cloudpickle

from . import errors, payload
from .awserrors import is_missing_queue, is_passing, sentence_for
from .errors import (
    AWSBatchException,
    MessageError,
    RemoteError,
    StackError,
    TaskLostError,
    WorkersError,
    WorkerTraceback,
)
from .exchange import LONG_POLL_SECONDS, Clients, Exchange, Received
from .messages import Failure, Payload, Result, RunKey, Stop, Task, WorkerNotice, peek_run
from .outbox import Budget, Outbox, Parcel
from .resources import RECORD_SECONDS, RunRecord, new_run_id, run_resources, sweep, teardown
from .settings import Settings, WorkerSettings, variables
from .stack import StackOutputs
from .workforce import Workforce

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Run", "Statistics"]

log = logging.getLogger(__name__)

HANDLERS = 4
INLINE_FUNCTION = 16 * 1024  # a function up to this size rides in every message; a larger one is stored once
RESULT_VISIBILITY = 600
DELETE_RESULTS_AT = 10
FIRST_LOOK_SECONDS, LOOK_SECONDS = 1.0, 15.0
OUTAGE_SECONDS = 300.0
QUEUE_SECONDS = 60.0  # a new queue may need a while to be there for everybody
FAREWELL_SECONDS = 3.0
_PYTHON = ".".join(platform.python_version_tuple()[:2])
_CLOUDPICKLE = int(cloudpickle.__version__.partition(".")[0])


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What a run has done so far.

    Attributes:
        workers: How many workers have been ready.
        tasks: How many tasks have come back.
        requests: AWS requests, main's and the workers'.
        bytes_sent: Bytes of payloads that went out, shared ones counted once.
        bytes_received: Bytes of payloads that came back.
    """

    workers: int = 0
    tasks: int = 0
    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Run:
    """Queues, workers and futures of one main process on one stack; a context manager.

    Args:
        settings: The settings.
        stack: The stack's outputs.
        clients: The AWS clients.
        workers: How many workers; they start when the first task is submitted.
    """

    def __init__(self, settings: Settings, stack: StackOutputs, clients: Clients, workers: int) -> None:
        self.run_id = new_run_id()
        self._settings = settings
        self._stack = stack
        self._clients = clients
        self._workers = workers
        self._numbers = itertools.count()
        self._state = threading.Condition()
        self._pending: dict[int, Future[Any]] = {}
        self._shared: dict[str, Payload] = {}
        self._sharing = threading.Lock()
        self._done = self._bytes_sent = self._bytes_received = 0
        self._consumed: list[str] = []
        self._inbox: queue.Queue[Received | None] = queue.Queue(2 * HANDLERS)
        self._broken: Exception | None = None
        self._closing = False
        self._abandoned = False
        self._wake = threading.Event()  # the watcher has reason to look
        self._steps = contextlib.ExitStack()

    # --- beginning and end

    def __enter__(self) -> "Self":
        with contextlib.ExitStack() as steps:
            secret = RunKey.new_secret()
            key = RunKey(self.run_id, secret)
            exchange, record = steps.enter_context(run_resources(self._settings, self._stack, self._clients, key))
            undo = steps.enter_context(teardown(self.run_id))
            self._exchange: Exchange = exchange
            self._record: RunRecord = record
            self._force = Workforce(
                self._clients.batch,
                self._stack,
                self.run_id,
                self._worker_environment(secret),
                wanted=self._workers,
                replacements=self._settings.max_attempts,
                startup_timeout=self._settings.startup_timeout,
                launched=record.write,
            )
            undo("delete the last results", self._delete_consumed)
            undo("end the workers", self._dismiss)
            self._outbox = Outbox(exchange, Budget(self._settings.memory_limit))
            undo("stop sending", self._outbox.close)
            self._outbox.start()
            for target in (self._receive_loop, self._watch_loop, self._sweep, *(self._handle_loop,) * HANDLERS):
                threading.Thread(target=target, name=f"run{target.__name__}", daemon=True).start()
            self._steps = steps.pop_all()
        log.info("run=%s begins on stack %s in %s", self.run_id, self._stack.stack, self._settings.region)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the run: tasks that have not come back are cancelled, and everything in AWS is taken down."""
        with self._state:
            if self._closing:
                return
            self._closing = True
            left = list(self._pending.values())
            self._pending.clear()
            self._abandoned = self._abandoned or bool(left) or self._broken is not None
            self._state.notify_all()
        self._wake.set()
        for future in left:
            if future.cancel():
                future.set_running_or_notify_cancel()
        self._steps.close()
        self._inbox.put(None)
        log.info("run=%s is over: %s", self.run_id, self.statistics())

    @property
    def open(self) -> bool:
        """Whether tasks can be submitted."""
        return not self._closing and self._broken is None

    def statistics(self) -> Statistics:
        """Return what the run has done so far."""
        return Statistics(
            workers=self._force.seen,
            tasks=self._done,
            requests=sum(self._clients.requests.values()) + self._force.requests,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
        )

    def want_workers(self, workers: int) -> None:
        """Let there be at least `workers` workers."""
        self._force.want(workers)

    def _worker_environment(self, secret: str) -> dict[str, str]:
        values = {
            **self._settings.model_dump(),
            "bucket": self._stack.bucket,
            "in_queue": self._exchange.tasks.url,
            "out_queue": self._exchange.results.url,
            "inline_limit": self._exchange.inline_limit,
            "run": self.run_id,
            "run_key": secret,
        }
        return {names[0]: str(values[field]) for field, names in variables(WorkerSettings).items()}

    def _dismiss(self) -> None:
        """Tell the workers to stop; if they are busy with what nobody waits for, end them at once."""
        if not self._abandoned:
            self._exchange.tasks.send([self._exchange.encode(Stop())] * self._force.present)
        self._force.end(0 if self._abandoned else FAREWELL_SECONDS)

    def _sweep(self) -> None:
        try:
            sweep(self._clients, self._stack.bucket)
        except Exception as error:  # noqa: BLE001 - the next run, or the bucket's lifecycle rule, does it
            log.debug("run=%s cannot sweep: %s", self.run_id, error)

    # --- out

    def submit(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        shared: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    ) -> "Future[Any]":
        """Have ``function(*shared args, *args, **shared kwargs, **kwargs)`` called by a worker.

        Everything is pickled before this returns, so it may change afterwards. Waits while more than the settings'
        `memory_limit` bytes are waiting to be sent.

        Args:
            function: The callable.
            args: Positional arguments.
            kwargs: Keyword arguments.
            name: What users call the task.
            shared: Arguments that many tasks have in common; stored once, kept by the workers.

        Returns:
            The future of its result.

        Raises:
            PicklingError: The function or an argument cannot be pickled.
            AWSBatchException: The run is over, or shared arguments cannot be stored.
        """
        self.refuse_unless_open()
        called = payload.describe(function)
        name = name or called
        compression = self._settings.compression
        function_payload = self._share(payload.dumps(function, f"Function {called}", compression=compression))
        shared_payload = None
        if shared is not None:
            what = f"The shared arguments of {name}"
            shared_payload = self._share(payload.dumps(shared, what, compression=compression))
        arguments = payload.dumps((args, kwargs or {}), f"An argument of {name}", compression=compression)

        future: Future[Any] = Future()
        number = next(self._numbers)
        room = self._exchange.inline_limit - function_payload.size_inline
        if shared_payload is not None:
            room -= shared_payload.size_inline

        def seal(packed: Payload) -> Task:
            return Task(
                task=number,
                name=name,
                python=_PYTHON,
                cloudpickle=_CLOUDPICKLE,
                function=function_payload,
                shared=shared_payload,
                arguments=packed,
            )

        with self._state:
            self.refuse_unless_open()
            self._pending[number] = future
            self._bytes_sent += len(arguments)
            self._state.notify_all()
        future.add_done_callback(lambda done: self._forget(number, done))
        self._wake.set()
        self._outbox.put(
            Parcel(
                number,
                arguments,
                room,
                seal,
                wanted=lambda: not future.cancelled() and not self._closing,
                failed=lambda error: self._settle(number, _about_sending(name, error)),
            )
        )
        return future

    def refuse_unless_open(self) -> None:
        """Raise what broke the run, or that it is closed."""
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise AWSBatchException(f"Run {self.run_id} is closed; it takes no more tasks.")

    def _share(self, data: bytes) -> Payload:
        """Return `data` as a payload that many tasks may refer to."""
        mac = self._exchange.key.mac(data)
        with self._sharing:  # who comes second waits until the object is there
            if mac not in self._shared:
                try:
                    self._shared[mac] = self._exchange.pack(data, f"shared/{mac}", INLINE_FUNCTION)
                except Exception as error:
                    raise _about_sending("A function or shared argument", error) from error
                self._bytes_sent += len(data)
            return self._shared[mac]

    # --- back

    def _receive_loop(self) -> None:
        outage_since: float | None = None
        while self._wait_for_something_to_expect():
            try:
                received = self._exchange.results.receive(
                    DELETE_RESULTS_AT, wait=LONG_POLL_SECONDS, visibility=RESULT_VISIBILITY
                )
            except Exception as error:  # noqa: BLE001 - it passes, or it is the end of the run
                if self._closing:
                    return
                outage_since = outage_since or time.monotonic()
                lasting = time.monotonic() - outage_since
                if lasting < OUTAGE_SECONDS and (
                    is_passing(error) or (is_missing_queue(error) and lasting < QUEUE_SECONDS)
                ):
                    time.sleep(1)
                    continue
                self._fail(StackError(f"Cannot receive results of run {self.run_id}: {sentence_for(error)}"))
                return
            outage_since = None
            for message in received:
                self._inbox.put(message)

    def _wait_for_something_to_expect(self) -> bool:
        with self._state:
            while not self._pending and not self._closing:
                self._state.wait()
        return not (self._closing and self._force.present == 0)

    def _handle_loop(self) -> None:
        while (received := self._inbox.get()) is not None:
            try:
                self._handle(received)
            except MessageError as error:  # noqa: PERF203 - one bad message must not end the loop
                self._refuse(received, error)
            except Exception:
                log.exception("run=%s a message could not be handled", self.run_id)
        self._inbox.put(None)

    def _handle(self, received: Received) -> None:
        message = self._exchange.decode(received.body)
        if isinstance(message, WorkerNotice):
            self._force.note(message)
            with self._state:  # whoever waits for the last worker to go
                self._state.notify_all()
        elif isinstance(message, Result | Failure):
            self._force.note_requests(message.worker, message.requests)
            self._settle(message.task, message)
        self._consume(received.receipt)

    def _refuse(self, received: Received, error: MessageError) -> None:
        owner = peek_run(received.body)
        if owner is not None and owner != self.run_id:
            self._fail(error)  # the queues are given ones, and not ours alone
            return
        log.warning("run=%s %s", self.run_id, error)
        self._consume(received.receipt)

    def _consume(self, receipt: str) -> None:
        with self._state:
            self._consumed.append(receipt)
            full = len(self._consumed) >= DELETE_RESULTS_AT
        if full:
            self._delete_consumed()

    def _delete_consumed(self) -> None:
        with self._state:
            receipts, self._consumed = self._consumed, []
        if not self._closing or self._settings.out_queue:  # our own queue is about to be deleted as a whole
            self._exchange.results.delete(receipts)

    def _settle(self, number: int, outcome: Result | Failure | Exception) -> None:
        """Give a task its outcome; the first one counts."""
        with self._state:
            future = self._pending.pop(number, None)
        if future is None:
            log.debug("run=%s task=%d came back once more; ignored", self.run_id, number)
            return
        if not future.set_running_or_notify_cancel():
            return
        try:
            if isinstance(outcome, Result):
                data = self._exchange.unpack(outcome.payload)
                value = payload.loads(data)
                with self._state:
                    self._done += 1
                    self._bytes_received += len(data)
                future.set_result(value)
            else:
                future.set_exception(self._error_of(outcome) if isinstance(outcome, Failure) else outcome)
        except Exception as error:  # noqa: BLE001 - it is the task's outcome
            future.set_exception(error)

    def _error_of(self, failure: Failure) -> Exception:
        """Return the exception that a failure stands for, with the worker's traceback as its cause."""
        place = f"worker {failure.worker}, {failure.versions}"
        if failure.reason == "lost":
            batch = f" Batch says: {self._force.reasons}." if self._force.reasons else ""
            return TaskLostError(f"{failure.text}{batch} [{place}]")
        if failure.reason == "refused":
            kind = getattr(errors, failure.error, AWSBatchException)
            return kind(f"{failure.text} [{place}]")
        error = self._unpickled(failure) or RemoteError(f"{failure.error}: {failure.text}")
        error.__cause__ = WorkerTraceback(f"{failure.traceback.rstrip()}\n[{place}]")
        return error

    def _unpickled(self, failure: Failure) -> Exception | None:
        """Return the user's own exception; None if it is no plain exception, or its class is not to be had here."""
        if failure.exception is None:
            return None
        try:
            error = payload.loads(self._exchange.unpack(failure.exception))
        except Exception as problem:  # noqa: BLE001 - unpickling runs the class's own code
            log.debug("run=%s an exception cannot be unpickled: %s", self.run_id, problem)
            return None
        return error if isinstance(error, Exception) else None

    # --- watching

    def _watch_loop(self) -> None:
        pause, next_look, next_record = FIRST_LOOK_SECONDS, 0.0, time.monotonic() + RECORD_SECONDS
        while self.open:
            now = time.monotonic()
            if self._pending and now >= next_look:
                self._look()
                pause = LOOK_SECONDS if self._force.present >= self._workers else min(1.5 * pause, LOOK_SECONDS)
                next_look = time.monotonic() + pause
            if now >= next_record:
                self._keep_record()
                next_record = now + RECORD_SECONDS
            due = min(next_record, next_look) if self._pending else next_record
            self._wake.wait(max(due - time.monotonic(), 0.01))
            self._wake.clear()

    def _look(self) -> None:
        try:
            self._force.look(len(self._pending))
        except AWSBatchException as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - it passes, or it is the end of the run
            if not is_passing(error):
                self._fail(WorkersError(f"Cannot watch the workers of run {self.run_id}: {sentence_for(error)}"))

    def _keep_record(self) -> None:
        try:
            self._record.write(self._force.job_ids)
        except Exception as error:  # noqa: BLE001 - the next one may succeed
            log.warning("run=%s cannot rewrite its record: %s", self.run_id, sentence_for(error))

    def _forget(self, number: int, future: "Future[Any]") -> None:
        """Expect a task no more whose future was cancelled."""
        if not future.cancelled():
            return
        with self._state:
            expected = self._pending.pop(number, None) is not None
            self._abandoned = self._abandoned or expected
        if expected:
            future.set_running_or_notify_cancel()

    def _fail(self, error: Exception) -> None:
        """End all hope: every task that has not come back gets `error`."""
        with self._state:
            if self._closing or self._broken is not None:
                return
            self._broken = error
            numbers = list(self._pending)
        log.error("run=%s %s", self.run_id, sentence_for(error))
        for number in numbers:
            self._settle(number, error)


def _about_sending(what: str, error: Exception) -> AWSBatchException:
    if isinstance(error, AWSBatchException):
        return error
    sentence = AWSBatchException(f"{what} cannot be sent to the workers: {sentence_for(error)}")
    sentence.__cause__ = error
    return sentence
