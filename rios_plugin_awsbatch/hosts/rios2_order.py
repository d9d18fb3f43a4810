"""The order in which RIOS 2 gets its blocks to write: the grid's, where it costs nothing."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from .rios2_tasks import bytes_of

__all__ = ["BlockOrder", "ComputedTask"]

HELD_BYTES: Final = 64 * 1024 * 1024
HELD_TASKS: Final = 2  # for each worker


@dataclasses.dataclass(frozen=True)
class ComputedTask:
    """Blocks of a task, in the grid's order, and RIOS's object of output arrays for each."""

    blocks: Sequence[Any]
    outputs: Sequence[Any]

    @property
    def size(self) -> int:
        """Bytes of the output arrays."""
        return sum(map(bytes_of, self.outputs))


class BlockOrder:
    """Holds tasks back until those before them have come.

    RIOS adds up an output's statistics block by block, and the last digit of a sum depends on the
    order. But nobody waits for a slow block: if many tasks are held back, the first of them goes
    on. Only the collector thread calls this.

    Args:
        blocks: All blocks, in the grid's order.
        workers: How many workers there are.
    """

    def __init__(self, blocks: Sequence[Any], workers: int) -> None:
        self._places = {block: place for place, block in enumerate(blocks)}
        self._most_tasks = HELD_TASKS * workers
        self._held: dict[int, ComputedTask] = {}  # by the place of the first block
        self._passed: dict[int, int] = {}  # tasks that went on early: places of begin and end
        self._next = 0
        self._size = 0

    def put(self, task: ComputedTask) -> list[ComputedTask]:
        """Take a task; return the tasks that may be written now, in their order."""
        self._held[self._places[task.blocks[0]]] = task
        self._size += task.size
        due = self._due()
        while self._held and (len(self._held) > self._most_tasks or self._size > HELD_BYTES):
            begin = min(self._held)
            early = self._released(begin)
            self._passed[begin] = begin + len(early.blocks)
            due.append(early)
        return due

    def _due(self) -> list[ComputedTask]:
        due = []
        while True:
            if self._next in self._passed:
                self._next = self._passed.pop(self._next)
            elif self._next in self._held:
                due.append(self._released(self._next))
                self._next += len(due[-1].blocks)
            else:
                return due

    def _released(self, begin: int) -> ComputedTask:
        task = self._held.pop(begin)
        self._size -= task.size
        return task
