"""A run: from a function and its arguments to a future, by way of the workers."""

import contextlib
import dataclasses
import itertools
import logging
import os
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cloudpickle

from . import payload
from .awserrors import is_passing, sentence_for
from .errors import AWSBatchException, RemoteError, VersionMismatchError, WorkersError
from .exchange import Clients, Exchange
from .failures import exception_from
from .inbox import Inbox
from .launch import container_overrides
from .messages import Failure, Message, Payload, Result, RunKey, Stop, Task, WorkerNotice
from .outbox import Budget, Outbox, Parcel
from .resources import RECORD_SECONDS, RunRecord, new_run_id, run_resources, sweep, teardown
from .settings import Settings, WorkerSettings, variables
from .stack import StackOutputs
from .workforce import Workforce

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Run", "Statistics"]

log = logging.getLogger(__name__)

INLINE_FUNCTION = 16 * 1024  # a function up to this size rides in every message; a larger one is stored once
FIRST_LOOK_SECONDS, LOOK_SECONDS = 1.0, 15.0
FAREWELL_SECONDS = 3.0
GIVEN_QUEUES_SECONDS = 30.0
NAME_CHARACTERS = 200
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
        workers: How many workers; they start with the run.
    """

    def __init__(self, settings: Settings, stack: StackOutputs, clients: Clients, workers: int) -> None:
        self.run_id = new_run_id()
        self._owner = os.getpid()
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
                container_overrides(self._worker_environment(secret), self._settings.vcpus, self._settings.memory),
                wanted=self._workers,
                replacements=self._settings.max_attempts,
                startup_timeout=self._settings.startup_timeout,
                launched=record.write,
            )
            inbox = Inbox(exchange, self._expecting, self._handle, self._fail, self._settings.visibility_timeout)
            undo("stop receiving", lambda: inbox.close(queue_stays=bool(self._settings.out_queue)))
            undo("end the workers", self._dismiss)
            self._outbox = Outbox(exchange, Budget(self._settings.memory_limit))
            undo("stop sending", self._outbox.close)
            self._force.start()
            self._outbox.start()
            inbox.start()
            for target in (self._watch_loop, self._sweep):
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
        if os.getpid() != self._owner:  # a fork of main has none of the run's threads
            return
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
        log.info("run=%s is over: %s", self.run_id, self.statistics())

    @property
    def open(self) -> bool:
        """Whether tasks can be submitted."""
        return not self._closing and self._broken is None and os.getpid() == self._owner

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
        known = variables(WorkerSettings).items()
        return {names[0]: str(values[field]) for field, names in known if values[field] is not None}

    def _dismiss(self) -> None:
        """Tell the workers to stop; if they are busy with what nobody waits for, end them at once."""
        if not self._abandoned:
            self._exchange.tasks.send([self._exchange.encode(Stop())] * self._force.present)
        self._force.end(0 if self._abandoned else FAREWELL_SECONDS)
        if self._settings.out_queue:  # the last word of one that had just started must not reach the queue's next run
            self._force.wait_for_the_end(GIVEN_QUEUES_SECONDS)

    def _sweep(self) -> None:
        try:
            sweep(self._clients, self._stack.bucket)
        except Exception as error:  # noqa: BLE001 - the next run, or the bucket's lifecycle rule, does it
            log.debug("run=%s cannot sweep: %s", self.run_id, error)

    # --- out

    def submit(
        self,
        function: Callable[..., Any] | Payload,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        shared: tuple[tuple[Any, ...], dict[str, Any]] | Payload | None = None,
    ) -> "Future[Any]":
        """Have ``function(*shared args, *args, **shared kwargs, **kwargs)`` called by a worker.

        Everything is pickled before this returns, so it may change afterwards. Waits while more than the settings'
        `memory_limit` bytes are waiting to be sent.

        Args:
            function: The callable, or what `share` returned for it.
            args: Positional arguments.
            kwargs: Keyword arguments.
            name: What users call the task.
            shared: Arguments that many tasks have in common, positional and by keyword, or what `share` returned for
                them; stored once, kept by the workers.

        Returns:
            The future of its result.

        Raises:
            PicklingError: The function or an argument cannot be pickled.
            AWSBatchException: The run is over, or shared arguments cannot be stored.
        """
        self.refuse_unless_open()
        name = (name or payload.describe(function))[:NAME_CHARACTERS]
        function_payload = function if isinstance(function, Payload) else self.share(function, "Function")
        if shared is None or isinstance(shared, Payload):
            shared_payload = shared
        else:
            shared_payload = self.share(shared, f"The shared arguments of {name}")
        compression = self._settings.compression
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
        if os.getpid() != self._owner:
            raise AWSBatchException(
                f"Run {self.run_id} belongs to process {self._owner}, of which this one is a fork; "
                "make an executor here."
            )

    def share(self, value: Any, what: str) -> Payload:
        """Pickle `value` as it is now, for any number of tasks; large ones are stored once per run.

        Args:
            value: A function, or a pair of positional and keyword arguments.
            what: What it is, for errors.

        Raises:
            PicklingError: It cannot be pickled.
            AWSBatchException: It cannot be stored.
        """
        if callable(value):
            what = f"{what} {payload.describe(value)}"
        data = payload.dumps(value, what, compression=self._settings.compression)
        mac = self._exchange.key.mac(data)
        with self._sharing:  # who comes second waits until the object is there
            if mac not in self._shared:
                try:
                    self._shared[mac] = self._exchange.pack(data, f"shared/{mac}", INLINE_FUNCTION)
                except Exception as error:
                    raise _about_sending(what, error) from error
                self._bytes_sent += len(data)
            return self._shared[mac]

    # --- back

    def _expecting(self) -> bool:
        """Wait until a message may come: a result, or while closing a worker's goodbye."""
        with self._state:
            while not self._pending and not self._closing:
                self._state.wait()
        return not self._closing or self._force.present > 0

    def _handle(self, message: Message) -> None:
        if isinstance(message, WorkerNotice):
            if message.event == "unfit":
                self._fail(VersionMismatchError(f"{message.detail} [worker {message.worker}]"))
                return
            self._force.note(message)
            self._wake.set()
            if self._closing and message.event == "ready":  # too late to be told with the others
                self._exchange.tasks.send([self._exchange.encode(Stop())])
        elif isinstance(message, Result | Failure):
            self._force.note_requests(message.worker, message.requests)
            self._settle(message.task, message)

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
                future.set_exception(self._exception(outcome))
        except Exception as error:  # noqa: BLE001 - it is the task's outcome
            future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - unpickling may import what calls sys.exit
            future.set_exception(RemoteError(f"The result cannot be unpickled: {type(error).__name__}: {error}"))

    def _exception(self, outcome: Failure | Exception) -> Exception:
        if isinstance(outcome, Failure):
            return exception_from(outcome, self._exchange, self._force.reasons)
        return outcome

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
