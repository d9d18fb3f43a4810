"""Blocks of RIOS 2 in a worker: reads what workers can open, and calls the user's function."""

import copy
import copyreg
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, Final

from rios.imagereader import readBlockAllFiles
from rios.readerinfo import makeReaderInfo
from rios.structures import BlockAssociations, RasterizationMgr, TempfileManager, Timers

from rios_plugin_awsbatch.records import measured_block
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.task_function import TaskContext, TaskFunction

from .rios2_otherargs import Change
from .rios2_otherargs_remote import OtherArgsKeeper, Timings, changes_of
from .rios_context import ApplyContext, close_with_apply

try:
    from osgeo import osr
except ImportError:  # RIOS needs it, and whatever stands in for RIOS may not
    osr = None

__all__ = ["BlockComputer", "Computed", "block_name"]

REASON_CHARACTERS: Final = 500


@dataclasses.dataclass(frozen=True)
class Computed:
    """The result of a task.

    Attributes:
        outputs: For each block, RIOS's object of output arrays.
        changes: What the function has changed of its copy of the otherArgs.
        timings: The intervals of RIOS's ``Timers``; before RIOS 2.0.7, it cannot itself be pickled.
        unread: Why the worker cannot read the inputs, if main should read them and send the blocks
            again; empty otherwise. Then there are no outputs.
    """

    outputs: list[Any]
    changes: tuple[Change, ...]
    timings: Timings
    unread: str = ""


class _UnreadError(Exception):
    """An input cannot be read here; the text says why."""


class BlockComputer(TaskFunction):
    """Computes blocks of one ``apply``.

    A worker keeps it, and with it the files it has opened, until a task of another ``apply`` comes.

    Args:
        context: The ``apply``.
        func: The user's function.
        infiles: All input files.
        read_here: The files that workers read; main has read the others.
        main_may_read: Whether to hand blocks back with inputs that cannot be read here.
        controls: The controls of ``apply``.
        workinggrid: RIOS's working grid.
        all_info: RIOS's information about the input files.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what RIOS gives one by one
        self,
        context: ApplyContext,
        func: Callable[..., Any],
        infiles: Any,
        read_here: Any,
        main_may_read: bool,  # noqa: FBT001 - as the others
        controls: Any,
        workinggrid: Any,
        all_info: Any,
    ) -> None:
        self.func = func
        self._context = context
        self._infiles = infiles
        self._read_here = read_here
        self._main_may_read = main_may_read
        self._controls = copy.copy(controls)
        # For main only: streams, terminals and functions, which often cannot be pickled.
        self._controls.progress = None
        self._controls.loggingstream = None
        self._controls.callBeforeClose = None
        options = {
            name: value
            for name, value in controls.optionsByImage.items()
            if name != "callBeforeClose"
        }
        self._controls.optionsByImage = options
        self._workinggrid = workinggrid
        self._all_info = all_info
        self._reader: _Reader | None = None
        self._otherargs: OtherArgsKeeper | None = None

    def compute(self, context: TaskContext) -> Computed:
        """Compute blocks.

        Args:
            context: Its shared arguments are the otherArgs, if there are any; its argument is a
                list of pairs: a block, and the inputs that main has read, None if it has read none.
        """
        with self._context.entered():
            try:
                if context.shared is None:
                    outputs, timings = self._computed(context, ())
                    return Computed(outputs, (), timings)
                computed = self._kept_otherargs(context.shared).run(
                    lambda other: self._computed(context, (other,)),
                    first_attempt=context.attempt == 1,
                )
                changes = changes_of(computed.changed, context.add_content)
                return Computed(computed.outputs, changes, computed.timings)
            except _UnreadError as error:
                # What the task has done to its copy of the otherArgs is dropped with it.
                return Computed([], (), {}, unread=str(error))

    def _kept_otherargs(self, pickled: bytes) -> OtherArgsKeeper:
        if self._otherargs is None:
            (given,), _ = payload.loads(pickled)
            self._otherargs = OtherArgsKeeper(given, passes=_UnreadError)
            close_with_apply(self._drop_otherargs)
        return self._otherargs

    def _drop_otherargs(self) -> None:
        self._otherargs = None

    def _computed(
        self, context: TaskContext, otherargs: Sequence[Any]
    ) -> tuple[list[Any], Timings]:
        """Return the outputs of a task's blocks, and the intervals of its timers."""
        self._controls.loggingstream = sys.stdout
        timings = Timers()
        outputs: list[Any] = []
        (blocks,) = context.arguments()
        for block, inputs in blocks:
            if outputs:  # the function may fill the same arrays again for the next block
                outputs[-1] = copy.deepcopy(outputs[-1])
            with measured_block(block_name(block, self._controls)):
                outputs.append(self._compute(block, inputs, otherargs, timings))
        return outputs, timings.pairs

    def _compute(self, block: Any, shipped: Any, otherargs: Sequence[Any], timings: Any) -> Any:
        inputs = BlockAssociations(self._infiles)
        if shipped is not None:
            vars(inputs).update(vars(shipped))
        if not vars(self._read_here).keys() <= (vars(shipped) if shipped else {}).keys():
            with timings.interval("reading"):
                vars(inputs).update(vars(self._read(block)))
        info = makeReaderInfo(
            self._workinggrid, block, self._controls, self._infiles, inputs, self._all_info
        )
        outputs = BlockAssociations()
        with timings.interval("userfunction"):
            self.func(info, inputs, outputs, *otherargs)
        return outputs

    def _read(self, block: Any) -> Any:
        if self._reader is None:
            self._reader = _Reader()
            close_with_apply(self._close)
        try:
            return self._reader.read(
                self._read_here, self._workinggrid, block, self._all_info, self._controls
            )
        except Exception as error:
            if not self._main_may_read:
                raise
            raise _UnreadError(f"{type(error).__name__}: {error}"[:REASON_CHARACTERS]) from error

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_reader": None, "_otherargs": None}


class _Reader:
    """Holds the open files, temporary files and rasterized vectors of this process."""

    def __init__(self) -> None:
        self._open: dict[Any, Any] = {}
        self._temporary = TempfileManager(tempfile.gettempdir())
        self._rasterized = RasterizationMgr()

    def read(self, infiles: Any, workinggrid: Any, block: Any, all_info: Any, controls: Any) -> Any:
        """Return the inputs of a block."""
        return readBlockAllFiles(
            infiles,
            workinggrid,
            block,
            all_info,
            self._open,
            controls,
            self._temporary,
            self._rasterized,
        )

    def close(self) -> None:
        """Close the files, and delete the temporary ones."""
        self._open.clear()
        del self._rasterized, self._temporary


def block_name(block: Any, controls: Any) -> str:
    """Return a block's place in the grid: "block 3,4" is column 3, row 4, counted from 0."""
    return f"block {block.left // controls.windowxsize},{block.top // controls.windowysize}"


def _projection(wkt: str, mapping: list[int]) -> Any:
    projection = osr.SpatialReference(wkt)
    projection.SetDataAxisToSRSAxisMapping(mapping)
    return projection


def _reduced_projection(projection: Any) -> tuple[Any, ...]:
    """Return how to rebuild a projection; RIOS keeps those of vectors, which GDAL cannot pickle."""
    wkt = projection.ExportToWkt(["FORMAT=WKT2_2019"])
    return _projection, (wkt, projection.GetDataAxisToSRSAxisMapping())


if osr is not None:
    copyreg.pickle(osr.SpatialReference, _reduced_projection)
