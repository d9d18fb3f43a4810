"""The tasks that a worker has received and not answered: what its threads share."""

import collections
import dataclasses
import threading
import time
from collections.abc import Iterable
from typing import Literal

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.wire.messages import Task

from .prefetch import Prefetch, Wait

__all__ = ["Ending", "HeldTask", "InFlight"]


@dataclasses.dataclass(frozen=True)
class HeldTask:
    """A task that this worker has received and not answered yet.

    Attributes:
        task: The task.
        receipt: The handle of its message.
        attempt: The number of this attempt at it, by any worker, from 1.
        arguments: The pickled arguments, once they are here.
        vanished: How many workers have had it before, and vanished or were told to stop.
        received: When it was received, by the monotonic clock.
    """

    task: Task
    receipt: str
    attempt: int
    arguments: bytes = b""
    vanished: int = 0
    received: float = dataclasses.field(default_factory=time.monotonic, compare=False)


@dataclasses.dataclass(frozen=True)
class Ending:
    """Why a worker ends.

    Attributes:
        reason: For main and the log.
        error: What keeps the worker from working; None if all is well.
    """

    reason: str
    error: AWSBatchException | None = None


class InFlight:
    """The tasks that this worker holds, those that wait for their turn, and whether it must end."""

    def __init__(self) -> None:
        # Guards all that follows. Re-entrant, because a signal's handler calls `interrupt`.
        self._changed = threading.Condition(threading.RLock())
        self._prefetch = Prefetch()
        self._held: dict[str, HeldTask] = {}  # by receipt
        self._waiting: collections.deque[HeldTask] = collections.deque()
        self._begun: float | None = None  # when the current task was begun
        self._current: HeldTask | None = None
        self._told = False  # whether main knows that it was begun
        self._kept: set[str] = set()  # receipts whose messages are gone from the queue
        self._idle_since = time.monotonic()
        self._ending: Ending | None = None
        self._interrupted = False

    # Fetching

    def wait_until_due(self) -> Literal["fetch", "hand back", "end"]:
        """Wait until it is time to fetch, to hand back what waits, or to end; say which."""
        with self._changed:
            while self._ending is None:
                busy = None if self._begun is None else time.monotonic() - self._begun
                due = self._prefetch.due(len(self._waiting), busy)
                if not isinstance(due, Wait):
                    return due
                self._changed.wait(due.seconds)
            return "end"

    def room(self) -> int:
        """Return how many tasks to fetch at once."""
        with self._changed:
            return self._prefetch.room()

    def note_fetch(self, receiving: float, preparing: float) -> None:
        """Take note of how long a fetch took; see `Prefetch.note_fetch`."""
        with self._changed:
            self._prefetch.note_fetch(receiving, preparing)

    def hold(self, tasks: Iterable[HeldTask]) -> bool:
        """Hold tasks from now on; False, and none is held, if the worker must end."""
        with self._changed:
            if self._ending is not None:
                return False
            self._held.update({held.receipt: held for held in tasks})
            return True

    def add_waiting(self, held: HeldTask) -> None:
        """Let a held task wait for its turn; it has its arguments."""
        with self._changed:
            self._waiting.append(held)
            self._changed.notify_all()

    def take_waiting(self) -> list[HeldTask]:
        """Return the tasks that wait for their turn, and let them wait no more; they stay held."""
        with self._changed:
            waiting = list(self._waiting)
            self._waiting.clear()
            return waiting

    @property
    def waiting(self) -> int:
        """How many tasks wait for their turn."""
        with self._changed:
            return len(self._waiting)

    # Computing

    def begin_next(self) -> HeldTask | None:
        """Wait for a task and begin it; None if the worker must end."""
        with self._changed:
            while not self._waiting and self._ending is None:
                self._changed.wait()
            if self._interrupted or not self._waiting:
                return None
            self._begun = time.monotonic()
            self._current, self._told = self._waiting.popleft(), False
            self._changed.notify_all()
            return self._current

    def finish(self, *, computed: bool = True) -> None:
        """Take note that the current task is done with.

        Args:
            computed: Whether it says anything about how long tasks take.
        """
        with self._changed:
            if self._begun is not None and computed:
                self._prefetch.note_task(time.monotonic() - self._begun)
            self._begun = self._current = None
            self._changed.notify_all()

    @property
    def typical_seconds(self) -> float | None:
        """How long tasks take; None if nobody knows."""
        with self._changed:
            return self._prefetch.typical_seconds

    @property
    def current(self) -> HeldTask | None:
        """The task that is being computed."""
        with self._changed:
            return self._current

    def take_begun(self, seconds: float = 0.0) -> HeldTask | None:
        """Return the current task, for main to be told, unless it has been.

        Args:
            seconds: For how long it must have been computed.
        """
        with self._changed:
            if self._current is None or self._begun is None or self._told:
                return None
            if time.monotonic() - self._begun < seconds:
                return None
            self._told = True
            return self._current

    # Holding

    def drop(self, tasks: Iterable[HeldTask]) -> None:
        """Hold these tasks no more: they are answered, or handed back."""
        with self._changed:
            for held in tasks:
                self._held.pop(held.receipt, None)
                self._kept.discard(held.receipt)
                self._idle_since = time.monotonic()

    def keep(self, held: HeldTask) -> None:
        """Take note that this worker alone has a task: its message is gone from the queue."""
        with self._changed:
            if held.receipt in self._held:
                self._kept.add(held.receipt)

    def is_kept(self, held: HeldTask) -> bool:
        """Say whether this worker alone has a task."""
        with self._changed:
            return held.receipt in self._kept

    def lose(self, receipts: Iterable[str]) -> None:
        """Hold tasks no more that wait for their turn, if their messages are other workers'."""
        with self._changed:
            gone = {one.receipt for one in self._waiting if one.receipt in set(receipts)}
            self._waiting = collections.deque(
                one for one in self._waiting if one.receipt not in gone
            )
            for receipt in gone:
                self._held.pop(receipt, None)
            self._changed.notify_all()

    def held(self) -> list[HeldTask]:
        """Return the tasks that are held."""
        with self._changed:
            return list(self._held.values())

    @property
    def idle_seconds(self) -> float:
        """For how long the worker has held no task."""
        with self._changed:
            return 0.0 if self._held else time.monotonic() - self._idle_since

    # Ending

    def end(self, ending: Ending) -> None:
        """Fetch no more, and end when the tasks that wait have been computed."""
        with self._changed:
            self._ending = self._ending or ending
            self._changed.notify_all()

    def interrupt(self, ending: Ending) -> None:
        """End at once; the tasks that wait are for other workers."""
        with self._changed:
            if not self._interrupted:
                self._ending, self._interrupted = ending, True
            self._changed.notify_all()

    @property
    def interrupted(self) -> bool:
        """Whether the worker must end at once."""
        with self._changed:
            return self._interrupted

    @property
    def ending(self) -> Ending | None:
        """Why the worker ends; None if it goes on."""
        with self._changed:
            return self._ending
