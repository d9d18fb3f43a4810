"""Blocks of RIOS 2 whose inputs a worker could not read: main reads them instead.

Main may be able to read what workers cannot: a host in its network, a bucket of its own account.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from .rios2_ending import Ending
from .rios2_reader import InputReader

__all__ = ["Rereader"]

log = logging.getLogger(__name__)

JOIN_SECONDS: Final = 5.0


class Rereader:
    """Reads blocks again, in a thread that starts with the first of them.

    Args:
        reader: Reads them; if no worker has read a block before, it then reads all other blocks.
        submit: Called with a task: pairs of a block and its inputs.
        ending: Hears of an error.
    """

    def __init__(
        self,
        reader: InputReader,
        submit: Callable[[Sequence[tuple[Any, Any]]], None],
        ending: Ending,
    ) -> None:
        self._reader = reader
        self._submit = submit
        self._ending = ending
        self._tasks: queue.SimpleQueue[Sequence[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._workers_can_read = False

    def note_computed(self) -> None:
        """Take note that a worker has read what it had to; called by the collector thread."""
        self._workers_can_read = True

    def read_again(self, blocks: Sequence[Any], reason: str) -> None:
        """Have the blocks of a task read by main, and sent again; called by the collector thread.

        Args:
            blocks: The blocks.
            reason: Why the worker could not read them.
        """
        if self._thread is None:
            which = "those of its blocks" if self._workers_can_read else "all inputs"
            log.warning("a worker cannot read an input (%r), so main reads %s", reason, which)
            if not self._workers_can_read:
                self._reader.read_all()
            self._thread = threading.Thread(target=self._loop, name="rios_reread", daemon=True)
            self._thread.start()
        self._tasks.put(blocks)

    def close(self) -> None:
        """End the thread, after the ``apply`` has ended and nobody calls `read_again`."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join(JOIN_SECONDS)

    def _loop(self) -> None:
        opened: dict[Any, Any] = {}
        try:
            while (blocks := self._tasks.get()) is not None and not self._ending.ended:
                self._submit(
                    [self._reader.read(block, opened, everything=True) for block in blocks]
                )
        except Exception as error:  # noqa: BLE001 - RIOS reports it
            self._ending.fail(error, "read")
