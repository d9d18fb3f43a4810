"""Blocks of RIOS 2 in a worker: reads what workers can open, and calls the user's function."""

import copy
import copyreg
import dataclasses
import secrets
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle
from rios.imagereader import readBlockAllFiles
from rios.readerinfo import makeReaderInfo
from rios.structures import BlockAssociations, RasterizationMgr, TempfileManager, Timers

from rios_plugin_awsbatch.records import measured_block

try:
    from osgeo import gdal, osr
except ImportError:  # RIOS needs it, and whatever stands in for RIOS may not
    gdal = osr = None

__all__ = ["BlockComputer", "Computed", "block_name"]


@dataclasses.dataclass(frozen=True)
class Computed:
    """The result of a task.

    Attributes:
        outputs: For each block, RIOS's object of output arrays.
        otherargs: This task's copy of the otherArgs if the function changed it; else None.
        timings: The intervals of RIOS's ``Timers``, by name: begin and end as Unix times. Before
            RIOS 2.0.7, ``Timers`` itself cannot be pickled.
    """

    outputs: list[Any]
    otherargs: Any
    timings: dict[str, list[tuple[float, float]]]


class BlockComputer:
    """Computes blocks of one ``apply``. A worker keeps it, and with it the files it has opened.

    Args:
        func: The user's function.
        infiles: All input files.
        read_here: The files that workers read; main has read the others.
        controls: The controls of ``apply``.
        workinggrid: RIOS's working grid.
        all_info: RIOS's information about the input files.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what RIOS gives one by one
        self,
        func: Callable[..., Any],
        infiles: Any,
        read_here: Any,
        controls: Any,
        workinggrid: Any,
        all_info: Any,
    ) -> None:
        self.func = func
        # Makes the pickle of each `apply` another one: a worker that has opened files for an
        # earlier `apply` must not read from them what they held then.
        self._apply = secrets.token_hex(8)
        self._infiles = infiles
        self._read_here = read_here
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

    def __call__(self, *arguments: Any) -> Computed:
        """Compute blocks.

        Args:
            arguments: The otherArgs, if there are any; then a list of pairs: a block, and the
                inputs that main has read, None if it has read none.
        """
        *otherargs, blocks = arguments
        self._controls.loggingstream = sys.stdout
        before = cloudpickle.dumps(otherargs)
        timings = Timers()
        outputs: list[Any] = []
        for block, inputs in blocks:
            with measured_block(block_name(block, self._controls)):
                outputs.append(self._compute(block, inputs, otherargs, timings))
        changed = bool(otherargs) and cloudpickle.dumps(otherargs) != before
        return Computed(outputs, otherargs[0] if changed else None, timings.pairs)

    def _compute(self, block: Any, shipped: Any, otherargs: Sequence[Any], timings: Any) -> Any:
        inputs = BlockAssociations(self._infiles)
        if shipped is not None:
            vars(inputs).update(vars(shipped))
        if vars(self._read_here):
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
        return self._reader.read(
            self._read_here, self._workinggrid, block, self._all_info, self._controls
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_reader": None}


class _Reader:
    """Holds the open files, temporary files and rasterized vectors of this process."""

    def __init__(self) -> None:
        if gdal is not None:
            gdal.UseExceptions()
            if hasattr(gdal, "VSICurlClearCache"):
                gdal.VSICurlClearCache()  # what http and S3 answered in an earlier `apply`
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
