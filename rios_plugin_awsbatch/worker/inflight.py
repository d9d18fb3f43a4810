"""What a worker has in its hands: the tasks it holds, and when it is time to fetch the next."""

import dataclasses
import threading
import time
from typing import Literal

from rios_plugin_awsbatch.wire.messages import Failure, Task

__all__ = ["Answer", "Hands", "Held"]

BATCH_SECONDS = (
    0.2  # so much work a worker takes at once, where tasks are quicker than their transport
)
BATCH_TASKS = 10
_SHORTEST_SECONDS = 0.001


@dataclasses.dataclass(frozen=True)
class Held:
    """A task that this worker has received and not answered yet.

    Attributes:
        receipt: The handle of its message.
        attempts: How many attempts at it there have been by any worker, this one included.
        arguments: The pickled arguments.
    """

    task: Task
    receipt: str
    attempts: int
    arguments: bytes = b""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came of a task: a pickled result, or a failure; and how long it took."""

    held: Held
    content: bytes | Failure
    seconds: float = 0.0


class Hands:
    """Shared by the worker's threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, Held] = {}  # by receipt
        self._waiting = 0  # tasks fetched and not begun
        self._begun: float | None = None  # when the task in hand was begun
        self._typical: float | None = None  # seconds that recent tasks took
        self._receiving = 0.05  # seconds that it takes to receive tasks,
        self._preparing = 0.0  # and to prepare each
        self.busy_until = 0.0  # when the last task was finished
        self.stopping = False

    def take(self, *tasks: Held) -> None:
        """Hold these tasks from now on."""
        with self._changed:
            self._held.update({held.receipt: held for held in tasks})

    def drop(self, *receipts: str) -> None:
        """Hold these tasks no more: they are answered, or handed back."""
        with self._changed:
            for receipt in receipts:
                self._held.pop(receipt, None)

    def held(self) -> list[Held]:
        """Return the tasks that are held."""
        with self._changed:
            return list(self._held.values())

    def stop(self) -> None:
        """Fetch no more."""
        with self._changed:
            self.stopping = True
            self._changed.notify_all()

    def prepared(self) -> None:
        """Note that a task has been fetched and waits for its turn."""
        with self._changed:
            self._waiting += 1

    @property
    def waiting(self) -> int:
        """How many tasks have been fetched and not begun."""
        return self._waiting

    def returned(self, number: int) -> None:
        """Note that tasks which waited for their turn wait no more: others may have them."""
        with self._changed:
            self._waiting -= number

    def fetched(self, receiving: float, preparing: float) -> None:
        """Note how long a fetch took: the receiving, which may have waited for a task, and preparing each."""
        self._receiving = min(self._receiving, receiving)  # the quickest did not wait
        self._preparing = 0.7 * self._preparing + 0.3 * preparing

    def begin(self) -> None:
        """Note that the next task is being computed."""
        with self._changed:
            self._waiting -= 1
            self._begun = time.monotonic()
            self._changed.notify_all()

    def finish(self) -> float:
        """Note that the task in hand has been computed; return the seconds it took."""
        with self._changed:
            seconds = time.monotonic() - (self._begun or time.monotonic())
            self._begun = None
            self.busy_until = time.monotonic()
            self._typical = (
                seconds if self._typical is None else 0.7 * self._typical + 0.3 * seconds
            )
            self._changed.notify_all()
            return seconds

    def room(self) -> int:
        """Return how many tasks to fetch at once."""
        if self._typical is None:
            return 1
        each = max(self._typical + self._preparing, _SHORTEST_SECONDS)
        return min(max(int(BATCH_SECONDS / each), 1), BATCH_TASKS)

    def wait_until_due(self) -> Literal["fetch", "hand back", "stop"]:
        """Wait until it is time to fetch, to hand back what waits here, or to stop; say which.

        Time to fetch is at once for an idle worker. A busy one fetches so early that it need not wait, but no earlier:
        a task that waits here is one that an idle worker elsewhere cannot have. For the same reason, when the task in
        hand takes much longer than those before, what waits is handed back, and nothing is fetched until it is done.
        """
        with self._changed:
            while not self.stopping:
                if self._begun is None and self._waiting == 0:
                    return "fetch"
                if self._typical is None:  # nobody knows how long the first one takes
                    self._changed.wait()
                    continue
                elapsed = 0.0 if self._begun is None else time.monotonic() - self._begun
                patience = 2 * self._typical + BATCH_SECONDS - elapsed
                if patience <= 0:
                    if self._waiting:
                        return "hand back"
                    self._changed.wait()
                    continue
                remaining = max(self._typical - elapsed, 0) + self._typical * self._waiting
                early = remaining - 2 * (self._receiving + self._preparing)
                if early <= 0 and self._waiting < BATCH_TASKS:
                    return "fetch"
                self._changed.wait(
                    max(min(early, patience) if early > 0 else patience, _SHORTEST_SECONDS)
                )
        return "stop"
