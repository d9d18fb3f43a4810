"""What a demo did: sums of the records of its blocks, and a table for people."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.records import MAIN, TaskRecord

__all__ = ["BlockTotals", "DemoReport", "counted_blocks", "print_report"]


@dataclasses.dataclass(frozen=True)
class BlockTotals:
    """Sums of blocks.

    Attributes:
        blocks: How many blocks.
        seconds: How long it took to compute them, one after the other.
    """

    blocks: int = 0
    seconds: float = 0.0

    def plus(self, record: TaskRecord) -> "BlockTotals":
        """Return the sums with those of one more task."""
        return BlockTotals(self.blocks + record.blocks, self.seconds + record.seconds)


@dataclasses.dataclass(frozen=True)
class DemoReport:
    """What a demo did.

    Attributes:
        index: What was computed, of which bands.
        in_workers: The blocks that workers computed.
        in_main: The blocks that this process computed itself, instead of a worker.
        workers: How many workers have been ready.
        bytes_sent: Bytes that went to workers.
        bytes_received: Bytes that came back.
        requests: AWS requests of main and workers.
        seconds: From reading the first block to writing the last, including the start of workers.
        output: The GeoTIFF.
        quicklook: The PNG.
    """

    index: str
    in_workers: BlockTotals
    in_main: BlockTotals
    workers: int
    bytes_sent: int
    bytes_received: int
    requests: int
    seconds: float
    output: Path
    quicklook: Path

    @property
    def blocks(self) -> int:
        """How many blocks were computed."""
        return self.in_workers.blocks + self.in_main.blocks


class BlockCounter:
    """A plugin of `hooks` that sums up the blocks that are done."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the two sums
        self._in_workers = BlockTotals()
        self._in_main = BlockTotals()

    @hooks.hookimpl
    def rios_awsbatch_task_done(self, record: TaskRecord) -> None:
        """Add the blocks of a task."""
        if record.outcome != "done":
            return
        with self._changed:
            if record.worker == MAIN:
                self._in_main = self._in_main.plus(record)
            else:
                self._in_workers = self._in_workers.plus(record)
            self._changed.notify_all()

    def totals(self, blocks: int, patience: float = 5.0) -> tuple[BlockTotals, BlockTotals]:
        """Return the sums of workers' blocks and of main's.

        Args:
            blocks: How many blocks there are in all. A record comes a moment after its result.
            patience: Seconds to wait for the last record.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._in_workers.blocks + self._in_main.blocks >= blocks, patience
            )
            return self._in_workers, self._in_main


@contextlib.contextmanager
def counted_blocks() -> Iterator[BlockCounter]:
    """Count the blocks that are done inside the context."""
    counter = BlockCounter()
    hooks.register(counter)
    try:
        yield counter
    finally:
        hooks.unregister(counter)


def print_report(report: DemoReport, console: Console) -> None:
    """Print what was done, and where the files are, as a short table."""
    in_workers, in_main = report.in_workers, report.in_main
    each = f"{report.requests / in_workers.blocks:.1f}" if in_workers.blocks else "none"
    here = f", {in_main.seconds:.2f} here" if in_main.blocks else ""
    rows = {
        "Index": report.index,
        "Blocks": f"{report.blocks:,}, of which {in_workers.blocks:,} in workers",
        "Workers": f"{report.workers:,}",
        "Bytes sent to workers": f"{report.bytes_sent:,}",
        "Bytes received": f"{report.bytes_received:,}",
        "AWS requests per block": each,
        "Seconds of computing": f"{in_workers.seconds:.2f} in workers{here}",
        "Seconds": f"{report.seconds:.1f}",
        "Compared with a serial run": "all pixels equal",
        "Written": f"{report.output}\n{report.quicklook}",
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, Text(value))  # not as markup: a file's name may look like it
    console.print(table)
