"""When a worker fetches its next tasks, how many, and when it hands back those that wait."""

import dataclasses
from typing import Final, Literal, TypeAlias

from rios_plugin_awsbatch.records import TypicalSeconds

__all__ = ["Due", "Prefetch", "Wait"]

# Where tasks are quicker than their transport, a worker fetches so much work at once.
BATCH_SECONDS: Final = 0.2
BATCH_TASKS: Final = 10
_SHORTEST_SECONDS: Final = 0.001
_FIRST_RECEIVE_SECONDS: Final = 0.05


@dataclasses.dataclass(frozen=True)
class Wait:
    """Nothing is due yet.

    Attributes:
        seconds: When to ask again at the latest; None: when a task has been begun or finished.
    """

    seconds: float | None


Due: TypeAlias = Literal["fetch", "hand back"] | Wait


class Prefetch:
    """Learns from tasks and fetches, and decides. Not for several threads at once.

    An idle worker fetches at once. A busy one fetches just early enough not to run dry: a task that
    waits here is one that an idle worker elsewhere cannot have. For the same reason, when a task
    takes much longer than those before it, the waiting ones are handed back, and nothing is fetched
    until it is done.
    """

    def __init__(self) -> None:
        self._typical = TypicalSeconds()
        self._receiving = _FIRST_RECEIVE_SECONDS
        self._preparing = TypicalSeconds()

    @property
    def typical_seconds(self) -> float | None:
        """How long tasks take; None if nobody knows."""
        return self._typical.value

    def note_task(self, seconds: float) -> None:
        """Take note of how long the worker was busy with a task."""
        self._typical.note(seconds)

    def note_fetch(self, receiving: float, preparing: float) -> None:
        """Take note of how long a fetch took.

        Args:
            receiving: Seconds until the tasks were received; they may have been waited for.
            preparing: Seconds to prepare each.
        """
        self._receiving = min(self._receiving, receiving)  # the quickest did not wait
        self._preparing.note(preparing)

    def room(self) -> int:
        """Return how many tasks to fetch at once."""
        if self._typical.value is None:
            return 1
        each = max(self._typical.value + (self._preparing.value or 0.0), _SHORTEST_SECONDS)
        return min(max(int(BATCH_SECONDS / each), 1), BATCH_TASKS)

    def due(self, waiting: int, busy: float | None) -> Due:
        """Return what to do now.

        Args:
            waiting: How many tasks have been fetched and not begun.
            busy: Seconds since the current task was begun; None if there is none.
        """
        if busy is None and waiting == 0:
            return "fetch"
        typical = self._typical.value
        if typical is None:  # nobody knows how long the first task takes
            return Wait(None)
        elapsed = busy or 0.0
        patience = 2 * typical + BATCH_SECONDS - elapsed
        if patience <= 0:
            return "hand back" if waiting else Wait(None)
        remaining = max(typical - elapsed, 0) + typical * waiting
        early = remaining - 2 * (self._receiving + (self._preparing.value or 0.0))
        if early > 0:
            return Wait(max(min(early, patience), _SHORTEST_SECONDS))
        if waiting < BATCH_TASKS:
            return "fetch"
        return Wait(max(patience, _SHORTEST_SECONDS))
