"""How the blocks of an ``apply`` of RIOS 2 are divided into tasks."""

import math
import threading
from collections.abc import Sequence
from typing import Any, Final

from rios_plugin_awsbatch.records import TaskRecord, TypicalSeconds

__all__ = ["TaskPlan", "bytes_of"]

TASK_SECONDS: Final = 0.4  # how long a task should take, where a block takes less
MOST_BLOCKS: Final = 32  # in one task
MOST_BYTES: Final = 8 * 1024 * 1024  # of inputs in one task
LAST_TASKS: Final = 3  # per worker: the last tasks are small, so that all workers end together


class TaskPlan:
    """Hands out the blocks, a task at a time; how many follows from the tasks that have come back.

    Reader threads call `take` and `note_inputs`, the collector thread calls `note_task`.

    Args:
        blocks: All blocks.
        workers: How many workers there are.
        blocks_per_task: How many blocks make one task; from measurements, if None.
    """

    def __init__(self, blocks: Sequence[Any], workers: int, blocks_per_task: int | None) -> None:
        self._blocks = blocks
        self._workers = workers
        self._blocks_per_task = blocks_per_task
        self._lock = threading.Lock()  # guards all that follows
        self._taken = 0
        self._block_seconds = TypicalSeconds()
        self._block_bytes = 0

    def take(self) -> Sequence[Any]:
        """Return the blocks of the next task; none if there are no more."""
        with self._lock:
            begin = self._taken
            self._taken += self._size()
            return self._blocks[begin : self._taken]

    def note_task(self, record: TaskRecord) -> None:
        """Take note of how long a task took."""
        if record.seconds > 0:
            with self._lock:
                self._block_seconds.note(record.seconds, record.blocks)

    def note_inputs(self, inputs: Any) -> None:
        """Take note of how large the inputs of a block are that main has read, if any."""
        size = bytes_of(inputs)
        with self._lock:
            self._block_bytes = max(self._block_bytes, size)

    def _size(self) -> int:
        """Return how many blocks the next task should have; the caller holds the lock."""
        if self._blocks_per_task is not None:
            return self._blocks_per_task
        seconds = self._block_seconds.value
        if seconds is None:
            return 1
        left = max(len(self._blocks) - self._taken, 0)
        in_time = int(TASK_SECONDS / max(seconds, 1e-6))
        in_size = MOST_BYTES // max(self._block_bytes, 1)
        until_the_end = math.ceil(left / (LAST_TASKS * self._workers))
        return max(1, min(in_time, in_size, until_the_end, MOST_BLOCKS))


def bytes_of(arrays_of_block: Any) -> int:
    """Return the bytes of a block's arrays, RIOS's object for its inputs or outputs, or None."""
    values = [] if arrays_of_block is None else vars(arrays_of_block).values()
    arrays = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return sum(getattr(array, "nbytes", 0) for array in arrays)
