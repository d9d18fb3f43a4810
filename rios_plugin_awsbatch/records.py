"""What became of tasks, blocks, workers and runs: one frozen record each.

A worker measures each task and its blocks. Its result message carries the measures, so they cost
no request. Main adds what it knows, and hands the record to hooks, statistics and the log. Whatever
chooses how much to send or to fetch learns through `TypicalSeconds`: main from the records, a
worker from its own clock.

Times are Unix times in seconds, by the clock of the machine that took them.
"""

import contextlib
import contextvars
import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

__all__ = [
    "BLOCKS_KEPT",
    "MAIN",
    "BlockRecord",
    "Measured",
    "Outcome",
    "RunRecord",
    "TaskRecord",
    "TypicalSeconds",
    "Versions",
    "WorkerRecord",
    "collected_blocks",
    "measured_block",
    "note_blocks",
]

MAIN: Final = "main"
# A task of very many calls must not fill its result message with measures.
BLOCKS_KEPT: Final = 64
_WEIGHT: Final = 0.3

Outcome: TypeAlias = Literal["done", "raised", "lost", "refused", "failed", "cancelled"]


@dataclasses.dataclass(frozen=True)
class BlockRecord:
    """One block, or one call, of a task.

    Attributes:
        name: What users call it, "block 3,4" for instance.
        begun: When it was begun.
        seconds: How long it took.
    """

    name: str
    begun: float
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What a worker measures while it computes a task. It travels, and is in the record, as it is.

    To measure something else, add it here, and measure it in `worker/compute.py`.

    Attributes:
        begun: When the worker began to compute; 0 if it never did.
        seconds: How long computing took, and pickling the result.
        blocks: How many blocks, or calls, the task is made of; 1 if none were measured.
        block_records: How its blocks went, the first `BLOCKS_KEPT` at most; none for a single call.
    """

    begun: float = 0.0
    seconds: float = 0.0
    blocks: int = 1
    block_records: tuple[BlockRecord, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Versions:
    """What a process runs on, and would import. It travels as it is.

    Attributes:
        python: Python's version.
        package: This package's.
        cloudpickle: cloudpickle's.
        numpy: numpy's; None, as for the following, if it is not installed or does not tell.
        gdal: That of GDAL's bindings.
        rios: RIOS's.
    """

    python: str
    package: str
    cloudpickle: str
    numpy: str | None = None
    gdal: str | None = None
    rios: str | None = None

    def __str__(self) -> str:
        named = {
            "Python": self.python,
            "rios-plugin-awsbatch": self.package,
            "cloudpickle": self.cloudpickle,
            "numpy": self.numpy,
            "GDAL": self.gdal,
            "RIOS": self.rios,
        }
        return ", ".join(f"{name} {version}" for name, version in named.items() if version)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskRecord(Measured):
    """What became of one task: what its worker `Measured`, and the following.

    Attributes:
        run: The run's id; empty for a block that main computed before there was a run.
        task: The task's number within the run; -1 for what main computed itself.
        name: What users call it: the place of its (first) block, or the function's name.
        worker: Who computed it; `MAIN` if main did, empty if nobody did.
        attempt: The number of the attempt that gave this outcome, from 1.
        sent: When main sent it.
        bytes_in: Bytes of its pickled arguments, without what many tasks share.
        bytes_out: Bytes of its pickled result; 0 if there is none.
        requests: AWS requests that its worker has made since its previous result.
        outcome: ``done``. ``raised``: the user's function raised. ``lost``: the task ended every
            process that computed it. ``refused``: the worker could not take it. ``failed``: it
            could not be sent, or the run broke. ``cancelled``: nobody waits for it any more.
    """

    run: str
    task: int
    name: str
    worker: str
    attempt: int
    sent: float
    bytes_in: int
    bytes_out: int
    requests: int
    outcome: Outcome


@dataclasses.dataclass(frozen=True)
class WorkerRecord:
    """A worker has changed.

    Attributes:
        run: The run's id.
        worker: The worker's name: Batch's id of its job.
        event: ``ready`` for tasks, ``gone`` with its last words, ``failed`` to start, ``unfit`` to
            read its tasks.
        at: When main heard of it.
        requests: AWS requests that it has made so far.
        detail: Versions of a worker that is ready; why it has gone, has failed, or is unfit.
    """

    run: str
    worker: str
    event: Literal["ready", "gone", "failed", "unfit"]
    at: float
    requests: int
    detail: str


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run has ended.

    Attributes:
        run: The run's id.
        stack: The stack's name.
        region: Its region.
        begun: When the run began.
        ended: When everything of it was taken down.
        workers: How many workers have been ready.
        tasks: How many tasks have come back.
        requests: AWS requests, main's and the workers'.
        bytes_sent: Bytes of payloads that went out, shared ones counted once.
        bytes_received: Bytes of payloads that came back.
        error: What broke the run; empty if nothing did.
    """

    run: str
    stack: str
    region: str
    begun: float
    ended: float
    workers: int
    tasks: int
    requests: int
    bytes_sent: int
    bytes_received: int
    error: str = ""


class TypicalSeconds:
    """What one block takes; the latest records count most. Guard it where threads share it."""

    def __init__(self) -> None:
        self._value: float | None = None

    @property
    def value(self) -> float | None:
        """The typical seconds; None before there is a measure."""
        return self._value

    def note(self, seconds: float, blocks: int = 1) -> None:
        """Take note of what so many blocks took together."""
        each = seconds / max(blocks, 1)
        self._value = each if self._value is None else (1 - _WEIGHT) * self._value + _WEIGHT * each


_collecting: contextvars.ContextVar[list[BlockRecord] | None] = contextvars.ContextVar(
    "blocks", default=None
)


@contextlib.contextmanager
def collected_blocks() -> Iterator[list[BlockRecord]]:
    """Collect what `measured_block` measures meanwhile."""
    blocks: list[BlockRecord] = []
    token = _collecting.set(blocks)
    try:
        yield blocks
    finally:
        _collecting.reset(token)


def note_blocks(blocks: Iterable[BlockRecord]) -> None:
    """Give blocks that were collected apart to whoever collects now."""
    collecting = _collecting.get()
    if collecting is not None:
        collecting += blocks


@contextlib.contextmanager
def measured_block(name: str) -> Iterator[None]:
    """Measure one block of a task; costs nothing to speak of where nobody collects."""
    begun, start = time.time(), time.perf_counter()
    try:
        yield
    finally:
        note_blocks([BlockRecord(name, begun, time.perf_counter() - start)])
