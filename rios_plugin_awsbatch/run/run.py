"""A run: from a function and its arguments to a future, by way of the workers.

The threads of main, beside those that submit::

    submit()  pickles, encodes
       |
       |  small arguments -------------------------------.
       |                                                 v
       '- large arguments --> upload (0 to 4) ----> sender (3) ------------> SQS tasks
                              to S3, then as        up to ten messages           |
                              small ones            a request                 workers
                                                                                 |
    future <------ handler (0 to 4) <------ receiver (1) <----------------- SQS results
                   downloads, unpickles,    receives, verifies                   |
                   settles, deletes  <------------------------------------------ S3

    watcher (1): looks at the Batch jobs, submits missing ones, gives up the workers of a run that
        has no user
    heartbeat (1): renews the inventory, by which workers see that main is alive
    sweeper (1): deletes what dead runs left, once
    overdue (1): sends tasks again whose messages were lost
    withdrawer (0 or 1), sweeper of tasks (0 to 4): withdraw what nobody waits for

They share `Pending` (tasks, futures, whether the run is open), `Transit` (what to send again),
`Roster` (workers), `Totals` (sums) and `Workforce` (jobs). Each has one lock, and says what it
guards. No lock is held during a request, and no thread holds two of them, but that of `Transit`
after that of `Pending`.
"""

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.aws.attempts import attempt_all
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.aws.names import new_run_id
from rios_plugin_awsbatch.records import RunRecord
from rios_plugin_awsbatch.settings import Settings
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Payload, RunKey

from .closing import Closing, dismiss
from .exits import signals_deferred
from .image import with_chosen_image
from .last_words import last_words
from .launch import worker_overrides
from .overdue import Overdue
from .pending import Pending
from .receiver import Receiver
from .resources import RunResources
from .roster import Roster
from .runtimes import Runtimes
from .sender import Sender
from .shared import SharedPayloads
from .statistics import Statistics, Totals
from .sweep import sweep
from .tasks import OutgoingTask, TaskFuture
from .transit import Transit
from .unused import Unused
from .watcher import Watcher
from .withdrawal import Withdrawal
from .workforce import Workforce

__all__ = ["Run", "start_run"]

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 5.0
NAME_CHARACTERS: Final = 200


def start_run(settings: Settings, stack: StackOutputs, clients: Clients, workers: int) -> "Run":
    """Make what a run owns in AWS, submit its workers, and start its threads.

    Args:
        settings: The settings.
        stack: The stack's outputs.
        clients: The AWS clients.
        workers: How many workers.

    Raises:
        ModulesError: A module of the user's cannot travel.
        StackError: The bucket or a queue cannot be used.
        WorkersError: Batch does not take the workers' job, or their image has another Python.
    """
    # Before anything is made that costs money.
    runtimes = Runtimes(settings, stack.architecture)
    stack = with_chosen_image(clients, stack)
    secret = RunKey.new_secret()
    resources = RunResources(settings, stack, clients, RunKey(new_run_id(), secret))
    with contextlib.ExitStack() as undo:
        undo.callback(resources.delete)
        run = Run(settings, stack, clients, resources, resources.make(), secret, workers, runtimes)
        undo.callback(run.close)
        run.start()
        undo.pop_all()
    return run


class Run:
    """Queues, workers and futures of one main process on one stack; `start_run` makes it.

    Args:
        settings: The settings.
        stack: The stack's outputs.
        clients: The AWS clients.
        resources: What the run owns; made already.
        exchange: The queues, the store and the key.
        secret: The run's secret, for the workers.
        workers: How many workers.
        runtimes: What goes with functions.
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
        runtimes: Runtimes,
    ) -> None:
        self.run_id = exchange.key.run
        self._owner = os.getpid()
        self._closing = Closing()
        self._begun = time.time()
        self._settings = settings
        self._stack = stack
        self._clients = clients
        self._resources = resources
        self._exchange = exchange
        self.content = exchange.content  # gives back what `TaskContext.add_content` has stored
        self._totals = Totals()
        self._roster = Roster(self.run_id)
        self._withdrawal = Withdrawal(exchange)
        transit = Transit()
        self._pending = Pending(
            exchange, self._roster, self._totals, transit, self._withdrawal.note
        )
        self._shared = SharedPayloads(exchange, self._totals, settings.compression, runtimes)
        self._workforce = Workforce(
            clients.batch,
            stack,
            self.run_id,
            worker_overrides(settings, stack.bucket, exchange, secret),
            self._roster,
            resources.inventory,
            wanted=workers,
            replacements=settings.max_attempts,
            startup_timeout=settings.startup_timeout,
            wait_for_capacity=settings.wait_for_capacity,
            last_words=functools.partial(last_words, clients),
            submit_job=clients.batch_unrepeated.submit_job,
        )
        self._unused = Unused(self.run_id, clients.batch, stack, self._workforce)
        watched = (self._pending, self._workforce, self._roster, self._unused)
        self._watcher = Watcher(self.run_id, *watched, exchange.renewal)
        self._sender = Sender(exchange, self._pending, transit, settings.memory_limit)
        self._receiver = Receiver(
            exchange, self._pending, self._roster, settings.visibility_timeout
        )
        self._overdue = Overdue(
            exchange, self._pending, transit, self._sender, self._receiver.flush, settings
        )
        what = (self.run_id, clients, stack.bucket)
        self._sweeper = threading.Thread(target=_sweep, args=what, name="sweeper", daemon=True)

    def start(self) -> None:
        """Submit the workers, and start the threads.

        Raises:
            WorkersError: Batch does not take the workers' job.
        """
        self._workforce.start()
        self._sender.start()
        self._receiver.start()
        self._watcher.start()
        self._overdue.start()
        self._sweeper.start()
        log.info("run=%s begins on %s", self.run_id, self._stack)

    def close(self) -> None:
        """End the run: cancel tasks that have not come back, and take everything in AWS down.

        If another thread is closing it, wait for that. Signals that end the process wait, too.
        """
        if os.getpid() != self._owner:  # a fork of main has none of the run's threads
            return
        with signals_deferred():
            self._closing.call(self._close)

    def _close(self) -> None:
        self._pending.close()
        stays = bool(self._settings.out_queue)
        parts = self._exchange, self._pending, self._roster, self._workforce
        facts = self, self._stack, self._begun, self._pending
        attempt_all(
            self.run_id,
            [
                ("stop looking after the workers", self._watcher.close),
                ("stop looking for lost tasks", self._overdue.close),
                ("stop sending", self._sender.close),
                ("stop withdrawing tasks", self._withdrawal.close),
                ("end the workers", lambda: dismiss(*parts, wait=stays)),
                ("stop receiving", lambda: self._receiver.close(queue_stays=stays)),
                ("stop sweeping", lambda: _join(self._sweeper)),
                ("delete what it owns in AWS", self._resources.delete),
                ("report its end", lambda: _tell_end(*facts)),
            ],
        )

    @property
    def open(self) -> bool:
        """Whether tasks can be submitted."""
        return self._pending.open

    def statistics(self) -> Statistics:
        """Return what the run has done so far."""
        requests = self._clients.requests + self._roster.requests
        return self._totals.statistics(self._roster.seen, requests)

    def want_workers(self, workers: int) -> None:
        """Have at least `workers` workers, for a user who comes."""
        self._workforce.want(workers)
        self._unused.end()
        self._watcher.wake()

    def keep_warm(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Keep the workers without a user, and then have `give_up` called; see `Unused`."""
        self._unused.begin(seconds, give_up)
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
        """Have a worker call ``function(*shared args, *args, **shared kwargs, **kwargs)``.

        Everything is pickled before this returns, so it may change afterwards. Waits while more
        than the settings' `memory_limit` bytes are waiting to be sent.

        Args:
            function: The callable, or what `share` returned for it.
            args: Positional arguments.
            kwargs: Keyword arguments.
            name: What users call the task.
            shared: Arguments that many tasks have in common, positional and by keyword, or what
                `share` returned for them. They are stored once, and workers keep them.

        Returns:
            The future of the result. It also gets the task's record.

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
        arguments = self._shared.arguments(args, kwargs or {}, name)
        number, future = self._pending.add(name, len(arguments))
        self._totals.note_sent(len(arguments))
        self._watcher.wake()
        try:
            runtime = self._shared.runtime_of(function)
            self._sender.put(OutgoingTask(number, name, function, shared, arguments, runtime))
        except BaseException:  # Ctrl-C while it waits for room: nobody has the future
            future.cancel()
            raise
        return future

    def share(self, value: Any, what: str) -> Payload:
        """Pickle `value` as it is now, for any number of tasks; large ones are stored once.

        Args:
            value: A function, or a pair of positional and keyword arguments.
            what: What it is, for errors.

        Raises:
            PicklingError: It cannot be pickled.
            AWSBatchException: It cannot be stored.
        """
        return self._shared.share(value, what)


def _sweep(run_id: str, clients: Clients, bucket: str) -> None:
    try:
        sweep(clients, bucket)
    except Exception as error:  # noqa: BLE001 - the next run, or the lifecycle rule, does it
        log.debug("run=%s cannot sweep: %s", run_id, error)


def _join(thread: threading.Thread) -> None:
    if thread.is_alive():
        thread.join(SWEEP_SECONDS)


def _tell_end(run: Run, stack: StackOutputs, begun: float, pending: Pending) -> None:
    """Log that a run is over, and call the hooks."""
    totals = run.statistics()
    log.info("run=%s is over: %s", run.run_id, totals)
    record = RunRecord(
        run=run.run_id,
        stack=stack.name,
        region=stack.region,
        begun=begun,
        ended=time.time(),
        **vars(totals),
        error="" if pending.broken is None else sentence_for(pending.broken),
    )
    hooks.call("rios_awsbatch_run_ended", record)
