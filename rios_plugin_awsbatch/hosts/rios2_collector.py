"""Results of RIOS 2's tasks on their way to RIOS's main thread, which writes them."""

import dataclasses
import functools
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from rios.structures import Timers

from rios_plugin_awsbatch.run.tasks import TaskFuture

from .rios2_apply import Apply
from .rios2_ending import Ending
from .rios2_order import BlockOrder
from .rios2_otherargs_list import OtherArgsList
from .rios2_remote import Computed
from .rios2_rereader import Rereader
from .rios2_tasks import TaskPlan

__all__ = ["Collector"]

TASKS_PER_WORKER: Final = 4  # in flight, so that no worker waits for main
LOOK_SECONDS: Final = 0.2  # how soon a waiting thread notices the end
JOIN_SECONDS: Final = 5.0


@dataclasses.dataclass(frozen=True)
class _Done:
    """A task that has come back; its entry is None if it has not changed the otherArgs."""

    blocks: Sequence[Any]
    future: TaskFuture
    entry: Any = None


class Collector:
    """Waits for tasks, and inserts their blocks into RIOS's buffer, in one thread.

    ::

        reader threads               a thread of the run            collector thread
        acquire_room, expect         the future's callback   --->   insert blocks, make room

    Args:
        apply: The ``apply``.
        plan: Hears of each task's record.
        ending: Says when the ``apply`` is over, and reports a task's error.
        timings: Gets an interval "insert_computebuffer" for each block.
        rereader: Gets the blocks that a worker could not read; their task keeps its room.
        entries: Makes the entries of ``otherArgsList``; None if there are no otherArgs.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of an ``apply``
        self,
        apply: Apply,
        plan: TaskPlan,
        ending: Ending,
        timings: Timers,
        rereader: Rereader,
        entries: OtherArgsList | None,
    ) -> None:
        self._apply = apply
        self._plan = plan
        self._ending = ending
        self._timings = timings
        self._rereader = rereader
        self._entries = entries
        self._order = BlockOrder(apply.blocks)
        # Blocks come as soon as workers do, which may take minutes; `ending` reports what goes
        # wrong.
        apply.outputs.popTimeout = None
        self._room = threading.BoundedSemaphore(TASKS_PER_WORKER * apply.workers)
        self._done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards all that follows
        self._expected: set[TaskFuture] = set()
        self._closed = False
        self._collected: list[Any] = [timings]
        self._changed: list[Any] = []
        self._thread = threading.Thread(target=self._loop, name="rios_collect", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def acquire_room(self) -> bool:
        """Wait until one more task may be submitted; False if the ``apply`` is over."""
        while not self._room.acquire(timeout=LOOK_SECONDS):
            if self._ending.ended:
                return False
        return not self._ending.ended

    def expect(self, blocks: Sequence[Any], future: TaskFuture) -> None:
        """Take the result of a task when it comes.

        Args:
            blocks: The blocks of the task.
            future: Its future.
        """
        with self._lock:
            self._expected.add(future)
            closed = self._closed
        future.add_done_callback(functools.partial(self._put, blocks))
        if closed:
            future.give_up()

    def close(self) -> list[Any]:
        """Stop, after the ``apply`` has ended, and cancel the tasks that have not come back.

        Returns:
            The timers of main and of all tasks; the otherArgs of the tasks that have changed them,
            or main's if none has.
        """
        self._done.put(None)
        self._thread.join(JOIN_SECONDS)
        with self._lock:
            self._closed = True
            rest, changed = list(self._expected), list(self._changed)
            collected = [*self._collected, *changed]
        for future in rest:
            future.give_up()
        if self._apply.otherargs is not None and not changed:
            collected.append(self._apply.otherargs)
        return collected

    def _put(self, blocks: Sequence[Any], future: "Future[Any]") -> None:
        assert isinstance(future, TaskFuture)
        with self._lock:
            self._expected.discard(future)
        try:
            self._done.put(_Done(blocks, future, self._entry_of(future)))
        except Exception as error:  # noqa: BLE001 - RIOS reports it
            self._ending.fail(error, "compute")

    def _entry_of(self, future: TaskFuture) -> Any:
        """Return a task's entry, for which a content may have to be downloaded."""
        if self._entries is None or future.cancelled() or future.exception() is not None:
            return None
        changes = future.result().changes
        return self._entries.entry(changes) if changes else None

    # Collector thread

    def _loop(self) -> None:
        try:
            while (done := self._done.get()) is not None and not self._ending.ended:
                if not done.future.cancelled():
                    self._take(done)
        except Exception as error:  # noqa: BLE001 - RIOS reports it
            self._ending.fail(error, "compute")

    def _take(self, done: _Done) -> None:
        computed: Computed = done.future.result()
        if computed.unread:
            self._rereader.read_again(done.blocks, computed.unread)
            return
        self._rereader.note_computed()
        if done.future.record is not None:
            self._plan.note_task(done.future.record)
        timings = Timers()
        timings.pairs = computed.timings
        with self._lock:
            self._collected.append(timings)
            if done.entry is not None:
                self._changed.append(done.entry)
        for block, outputs in self._order.put(zip(done.blocks, computed.outputs, strict=True)):
            with self._timings.interval("insert_computebuffer"):
                self._insert(block, outputs)
        self._room.release()

    def _insert(self, block: Any, outputs: Any) -> None:
        """Insert a block into RIOS's buffer as soon as it has room, unless the ``apply`` ends."""
        buffer = self._apply.outputs
        while not buffer.bufferCount.acquire(timeout=LOOK_SECONDS):
            if self._ending.ended:
                return
        buffer.bufferCount.release()  # the room stays: no other thread inserts
        buffer.insertCompleteBlock(block, outputs)
