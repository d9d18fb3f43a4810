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
        started: Whether the future is no longer pending.
    """

    number: int
    name: str
    sent: float
    size: int
    future: TaskFuture
    started: bool = False

    def start(self) -> bool:
        """Let the future run, if it does not; return False if it was cancelled."""
        if self.started:
            return not self.future.cancelled()
        self.started = True
        return self.future.set_running_or_notify_cancel()
