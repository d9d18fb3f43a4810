"""What main knows of a task on its way: its future, its state, and what to send again."""

import contextlib
import dataclasses
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Any

from rios_plugin_awsbatch.records import TaskRecord
from rios_plugin_awsbatch.wire.messages import Payload, Task
from rios_plugin_awsbatch.wire.versions import CLOUDPICKLE, PYTHON

__all__ = ["OutgoingTask", "PendingTask", "TaskFuture"]


class TaskFuture(Future[Any]):
    """The future of a task's result.

    Attributes:
        record: What became of the task; None before it has an outcome.
    """

    def __init__(self) -> None:
        super().__init__()
        self.record: TaskRecord | None = None

    def give_up(self) -> None:
        """Cancel it; if a worker computes the task already, wait for it no more."""
        if not self.cancel():
            with contextlib.suppress(InvalidStateError):  # it may just have got its result
                self.set_exception(CancelledError())


@dataclasses.dataclass(frozen=True, slots=True)
class OutgoingTask:
    """A task on its way out.

    Attributes:
        number: Its number within the run.
        name: What users call it.
        function: The callable.
        shared: Arguments that many tasks have in common.
        arguments: Its own, pickled; where they are, once they are stored.
        runtime: What goes with the function.
    """

    number: int
    name: str
    function: Payload
    shared: Payload | None
    arguments: bytes | Payload
    runtime: Payload | None = None

    def message(self, arguments: Payload) -> Task:
        """Return the message that asks for it."""
        return Task(
            task=self.number,
            name=self.name,
            python=PYTHON,
            cloudpickle=CLOUDPICKLE,
            function=self.function,
            shared=self.shared,
            arguments=arguments,
            runtime=self.runtime,
        )

    @property
    def size_inline(self) -> int:
        """Bytes of payloads that ride in the message, without the arguments."""
        others = (self.function, self.shared, self.runtime)
        return sum(payload.size_inline for payload in others if payload is not None)

    @property
    def kept_bytes(self) -> int:
        """Bytes of its own arguments that it has in memory."""
        return len(self.arguments) if isinstance(self.arguments, bytes) else 0


@dataclasses.dataclass(slots=True, eq=False)
class PendingTask:
    """A task without an outcome; guarded by the lock of `Pending`.

    Attributes:
        number: Its number within the run.
        name: What users call it.
        sent: When it was submitted.
        size: Bytes of its arguments.
        future: Its future.
        outgoing: What to send again.
        sent_at: When it was last sent, by the monotonic clock; None before that.
        sendings: How often it was sent again.
        worker: Who computes it, as far as main knows.
        kept_at: When that worker has last said that only it has the task, by the monotonic clock.
        started: Whether the future is no longer pending.
    """

    number: int
    name: str
    sent: float
    size: int
    future: TaskFuture
    outgoing: OutgoingTask | None = None
    sent_at: float | None = None
    sendings: int = 0
    worker: str = ""
    kept_at: float | None = None
    started: bool = False

    @property
    def kept_bytes(self) -> int:
        """Bytes of arguments that are kept for it."""
        return 0 if self.outgoing is None else self.outgoing.kept_bytes

    def start(self) -> bool:
        """Let the future run, if it does not; return False if it was cancelled."""
        if self.started:
            return not self.future.cancelled()
        self.started = True
        return self.future.set_running_or_notify_cancel()

    def is_overdue(self, now: float, quiet: float, silent: float) -> bool:
        """Say whether it may be lost; see `Pending.overdue`."""
        sent = self.sent_at is not None and now - self.sent_at >= quiet
        return sent and (self.kept_at is None or now - self.kept_at >= silent)
