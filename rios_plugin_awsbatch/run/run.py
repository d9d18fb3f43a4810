"""A run: from a function and its arguments to a future, by way of the workers.

The threads of main, beside those that submit::

    submit()  pickles, encodes
       |
       |  small arguments ------------------------------.
       |                                                v
       '- large arguments --> upload (0 to 4) -----> sender (3) ----------> SQS tasks
                              S3, then as small      up to ten a request         |
                                                                              workers
                                                                                 |
    future <----------------- receiver (1) <------------------------------- SQS results
       ^   small results      verifies, unpickles, settles                       |
       |                        |                                                |
       '--------------------- download (0 to 4) <------------------------------- S3
           large results      and deletes what is settled

    watcher (1): looks at the Batch jobs, submits those that are missing, rewrites the inventory
    sweeper (1): once, deletes what dead runs left

What they share, and the lock that guards it: `Pending` (tasks, futures, and whether the run is open), `Roster` (workers),
`Totals` (sums), `Workforce` (jobs). No lock is held during a request, and no thread waits for two locks.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import container_overrides
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.aws.names import new_run_id
from rios_plugin_awsbatch.records import RunRecord
from rios_plugin_awsbatch.settings import Settings, WorkerSettings, variables
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Payload, RunKey, Stop

from .pending import Pending, TaskFuture
from .receiver import Receiver
from .resources import RunResources
from .roster import Roster
from .sender import OutgoingTask, Sender, about_sending
from .statistics import Statistics, Totals
from .sweep import sweep
from .watcher import Watcher
from .workforce import Workforce

__all__ = ["Run", "start_run"]

log = logging.getLogger(__name__)

INLINE_FUNCTION: Final = (
    16 * 1024
)  # a function up to this size rides in every message; a larger one is stored once
FAREWELL_SECONDS: Final = 3.0
GIVEN_QUEUES_SECONDS: Final = 30.0
NAME_CHARACTERS: Final = 200


def start_run(settings: Settings, stack: StackOutputs, clients: Clients, workers: int) -> "Run":
    """Make what a run owns in AWS, submit its workers, and start its threads.

    Args:
        settings: The settings.
        stack: The stack's outputs.
        clients: The AWS clients.
        workers: How many workers.

    Raises:
        StackError: The bucket or a queue cannot be used.
        WorkersError: Batch does not take the workers' job.
    """
    secret = RunKey.new_secret()
    resources = RunResources(settings, stack, clients, RunKey(new_run_id(), secret))
    with contextlib.ExitStack() as undo:
        undo.callback(resources.delete)
        run = Run(settings, stack, clients, resources, resources.make(), secret, workers)
        undo.callback(run.close)
        run.start()
        undo.pop_all()
    return run


class Run:
    """Queues, workers and futures of one main process on one stack; made by `start_run`.

    Args:
        settings: The settings.
        stack: The stack's outputs.
        clients: The AWS clients.
        resources: What the run owns, made already.
        exchange: The queues, the store and the key.
        secret: The run's secret, for the workers.
        workers: How many workers.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what `start_run` has made
        self,
        settings: Settings,
        stack: StackOutputs,
        clients: Clients,
        resources: RunResources,
        exchange: Exchange,
        secret: str,
        workers: int,
    ) -> None:
        self.run_id = exchange.key.run
        self._owner = os.getpid()
        self._begun = time.time()
        self._settings = settings
        self._stack = stack
        self._clients = clients
        self._resources = resources
        self._exchange = exchange
        self._totals = Totals()
        self._roster = Roster(self.run_id)
        self._pending = Pending(exchange, self._roster, self._totals)
        self._workforce = Workforce(
            clients.batch,
            stack,
            self.run_id,
            container_overrides(self._worker_environment(secret), settings.vcpus, settings.memory),
            self._roster,
            resources.inventory,
            wanted=workers,
            replacements=settings.max_attempts,
            startup_timeout=settings.startup_timeout,
        )
        self._watcher = Watcher(
            self.run_id, self._pending, self._workforce, self._roster, resources.inventory
        )
        self._sender = Sender(exchange, self._pending, settings.memory_limit)
        self._receiver = Receiver(
            exchange, self._pending, self._roster, settings.visibility_timeout
        )
        self._sharing = threading.Lock()  # guards `_shared`
        self._shared: dict[str, Future[Payload]] = {}  # by content; under way or stored

    def start(self) -> None:
        """Submit the workers, and start the threads.

        Raises:
            WorkersError: Batch does not take the workers' job.
        """
        self._workforce.start()
        self._sender.start()
        self._receiver.start()
        self._watcher.start()
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()
        log.info("run=%s begins on %s", self.run_id, self._stack)

    def close(self) -> None:
        """End the run: tasks that have not come back are cancelled, and everything in AWS is taken down."""
        if os.getpid() != self._owner:  # a fork of main has none of the run's threads
            return
        if not self._pending.close():
            return
        with attempted(self.run_id, "stop looking after the workers"):
            self._watcher.close()
        with attempted(self.run_id, "stop sending"):
            self._sender.close()
        with attempted(self.run_id, "end the workers"):
            self._dismiss()
        with attempted(self.run_id, "stop receiving"):
            self._receiver.close(queue_stays=bool(self._settings.out_queue))
        self._resources.delete()
        self._tell_end()

    @property
    def open(self) -> bool:
        """Whether tasks can be submitted."""
        return self._pending.open

    def statistics(self) -> Statistics:
        """Return what the run has done so far."""
        return self._totals.statistics(
            self._roster.seen, self._clients.requests + self._roster.requests
        )

    def want_workers(self, workers: int) -> None:
        """Let there be at least `workers` workers."""
        self._workforce.want(workers)
        self._watcher.wake()

    def refuse_unless_open(self) -> None:
        """Raise what broke the run, or that it is closed."""
        self._pending.refuse_unless_open()

    def submit(
        self,
        function: Callable[..., Any] | Payload,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        shared: tuple[tuple[Any, ...], dict[str, Any]] | Payload | None = None,
    ) -> TaskFuture:
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
            The future of its result; it also gets the task's record.

        Raises:
            PicklingError: The function or an argument cannot be pickled.
            AWSBatchException: The run is over, or shared arguments cannot be stored.
        """
        self.refuse_unless_open()
        name = (name or payload.describe(function))[:NAME_CHARACTERS]
        if not isinstance(function, Payload):
            function = self.share(function, "Function")
        if shared is not None and not isinstance(shared, Payload):
            shared = self.share(shared, f"The shared arguments of {name}")
        arguments = payload.dumps(
            (args, kwargs or {}), f"An argument of {name}", compression=self._settings.compression
        )
        number, future = self._pending.add(name, len(arguments))
        self._totals.note_sent(len(arguments))
        self._watcher.wake()
        try:
            self._sender.put(OutgoingTask(number, name, function, shared, arguments))
        except BaseException:  # Ctrl-C while it waits for room: nobody has the future
            future.cancel()
            raise
        return future

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
        with self._sharing:
            stored = self._shared.get(mac)
            if stored is None:
                mine = self._shared[mac] = Future[Payload]()
        if stored is not None:  # who comes second waits until the object is there
            return stored.result()
        try:
            mine.set_result(self._exchange.pack(data, f"shared/{mac}", INLINE_FUNCTION))
        except Exception as error:
            with self._sharing:  # the next one tries again
                del self._shared[mac]
            sentence = about_sending(what, error)
            mine.set_exception(sentence)
            raise sentence from error
        self._totals.note_sent(len(data))
        return mine.result()

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
        abandoned = self._pending.abandoned
        if not abandoned:
            self._exchange.tasks.send([self._exchange.encode(Stop())] * self._roster.present)
        self._workforce.end(0 if abandoned else FAREWELL_SECONDS)
        if (
            self._settings.out_queue
        ):  # the last word of one that had just started must not reach the queue's next run
            self._workforce.wait_for_the_end(GIVEN_QUEUES_SECONDS)

    def _sweep(self) -> None:
        try:
            sweep(self._clients, self._stack.bucket)
        except Exception as error:  # noqa: BLE001 - the next run, or the bucket's lifecycle rule, does it
            log.debug("run=%s cannot sweep: %s", self.run_id, error)

    def _tell_end(self) -> None:
        totals = self.statistics()
        log.info("run=%s is over: %s", self.run_id, totals)
        broken = self._pending.broken
        record = RunRecord(
            run=self.run_id,
            stack=self._stack.name,
            region=self._stack.region,
            begun=self._begun,
            ended=time.time(),
            workers=totals.workers,
            tasks=totals.tasks,
            requests=totals.requests,
            bytes_sent=totals.bytes_sent,
            bytes_received=totals.bytes_received,
            error="" if broken is None else sentence_for(broken),
        )
        hooks.call("rios_awsbatch_run_ended", record)
