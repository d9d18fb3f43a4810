"""One ``apply`` of RIOS 2 on its way through the workers.

::

    reader threads (1, or RIOS's       run                    collector thread (1)
    numReadWorkers if main reads)
    TaskPlan: blocks of a task
    InputReader: read in main   --->   workers read    --->   Collector: insert into RIOS's buffer
    what workers cannot open           the rest, and                |       |
          ^                            compute                      |       v
          |--- room for another task <-----------------------------'   RIOS's main thread writes
          '--- blocks that a worker could not read: `Rereader` reads them in main (0 or 1 threads)

What the threads share, and the lock that guards it: `TaskPlan` (blocks left, measurements),
`Collector` (expected tasks, what to hand back), `Ending` (that it ends once), RIOS's ``Timers``. No
lock is held during a request, and no thread waits for two locks.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final

from rios.structures import Timers

from rios_plugin_awsbatch.run.run import Run
from rios_plugin_awsbatch.wire.messages import Payload

from .rios2_apply import Apply
from .rios2_collector import Collector
from .rios2_ending import Ending
from .rios2_otherargs import split
from .rios2_otherargs_list import OtherArgsList
from .rios2_params import ExtraParams
from .rios2_reader import InputReader, split_files
from .rios2_remote import BlockComputer, block_name
from .rios2_rereader import Rereader
from .rios2_tasks import TaskPlan
from .rios_context import ApplyContext, log_withheld

__all__ = ["Feed"]

JOIN_SECONDS: Final = 5.0


class Feed:
    """Has the blocks of an ``apply`` read, computed and collected.

    Function and otherArgs are pickled here; what the script does to them later is not for this
    ``apply``.

    Args:
        run: The run.
        params: What the script has said.
        apply: What RIOS has handed over.

    Raises:
        PicklingError: The function or the otherArgs cannot be pickled.
    """

    def __init__(self, run: Run, params: ExtraParams, apply: Apply) -> None:
        self._run = run
        self._controls = apply.controls
        context = ApplyContext()
        main_files, worker_files = _split_files(apply, params.read, context)
        computer = BlockComputer(
            context,
            apply.function,
            apply.infiles,
            worker_files,
            params.read == "auto",
            apply.controls,
            apply.workinggrid,
            apply.all_info,
        )
        self._function = run.share(computer, "Function")
        self._shared: Payload | None = None
        entries: OtherArgsList | None = None
        if apply.otherargs is not None:
            parts = split(apply.otherargs)
            self._shared = run.share(((parts,), {}), "otherArgs")
            entries = OtherArgsList(parts, run.content)
        timings = Timers()
        self._ending = Ending(apply)
        self._plan = TaskPlan(apply.blocks, apply.workers, params.blocks_per_task)
        self._reader = InputReader(apply, main_files, self._ending, timings)
        self._rereader = Rereader(self._reader, self._submit, self._ending)
        self._collector = Collector(
            apply, self._plan, self._ending, timings, self._rereader, entries
        )
        self._readers = [
            threading.Thread(target=self._read_loop, name="rios_read", daemon=True)
            for _ in range(self._reader.threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        self._collector.start()
        for thread in self._readers:
            thread.start()

    def stop(self) -> list[Any]:
        """Stop the threads, and cancel what has not come back.

        Returns:
            The timers of main and of all tasks, and the otherArgs as tasks have left them.
        """
        self._ending.end()
        collected = self._collector.close()
        for thread in self._readers:
            thread.join(JOIN_SECONDS)
        self._rereader.close()
        return collected

    # Reader threads

    def _read_loop(self) -> None:
        opened: dict[Any, Any] = {}
        try:
            while blocks := self._plan.take():
                if not self._collector.acquire_room():
                    return
                self._submit([self._reader.read(block, opened) for block in blocks])
        except Exception as error:  # noqa: BLE001 - RIOS reports it
            self._ending.fail(error, "read")

    def _submit(self, task: Sequence[tuple[Any, Any]]) -> None:
        """Submit a task: pairs of a block and its inputs."""
        self._plan.note_inputs(task[0][1])
        blocks = [block for block, _ in task]
        name = block_name(blocks[0], self._controls)
        if len(blocks) > 1:
            name = f"{name} and {len(blocks) - 1} more"
        future = self._run.submit(self._function, (task,), name=name, shared=self._shared)
        self._collector.expect(blocks, future)


def _split_files(apply: Apply, read: str, context: ApplyContext) -> tuple[Any, Any]:
    """Return the files that main reads and those that workers read.

    If workers lack credentials that the script has given GDAL, main reads what it can.
    """
    withheld = context.state.withheld
    main_reads = bool(withheld) and read == "auto"
    log_withheld(context.state, "; main reads all inputs" if main_reads else "")
    return split_files(
        apply.infiles, "main" if main_reads else read, rios_reads=apply.inputs is not None
    )
