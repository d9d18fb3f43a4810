"""The order in which RIOS 2 gets its blocks to write: the grid's, where it costs nothing."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from .rios2_tasks import bytes_of

__all__ = ["BlockOrder"]

HELD_BYTES: Final = 64 * 1024 * 1024


class BlockOrder:
    """Holds blocks back until those before them have come.

    RIOS adds up an output's statistics block by block, and the last digit of a sum depends on the
    order. But not everything waits for a slow block: if the blocks that are held back fill much
    memory, the first of them go on. Only the collector thread calls this.

    Args:
        blocks: All blocks, in the grid's order.
    """

    def __init__(self, blocks: Sequence[Any]) -> None:
        self._places = {block: place for place, block in enumerate(blocks)}
        self._held: dict[int, tuple[Any, Any]] = {}  # by place: a block and its outputs
        self._size = 0  # bytes of the outputs
        self._next = 0  # the place from which on blocks are missing
        self._early: set[int] = set()  # places of blocks that went on although some were missing

    def put(self, computed: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Take blocks and their outputs; return those that may be written now, in their order."""
        for block, outputs in computed:
            self._held[self._places[block]] = block, outputs
            self._size += bytes_of(outputs)
        due = []
        while self._next in self._held or self._next in self._early:
            if self._next in self._held:
                due.append(self._released(self._next))
            self._early.discard(self._next)
            self._next += 1
        while self._size > HELD_BYTES:
            place = min(self._held)
            self._early.add(place)
            due.append(self._released(place))
        return due

    def _released(self, place: int) -> tuple[Any, Any]:
        block, outputs = self._held.pop(place)
        self._size -= bytes_of(outputs)
        return block, outputs
