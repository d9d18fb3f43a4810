"""Inputs of RIOS 2's blocks in main: who reads which file, and reading."""

from typing import Any, Final

from rios.imagereader import readBlockAllFiles
from rios.rioserrors import TimeoutError as RiosTimeoutError
from rios.structures import FilenameAssociations, RasterizationMgr, Timers

from .rios2_apply import Apply
from .rios2_ending import Ending

__all__ = ["InputReader", "split_files"]

# Files that can be opened from anywhere begin with one of these.
REMOTE: Final = (
    "/vsis3/",
    "/vsicurl/",
    "/vsigs/",
    "/vsiaz/",
    "s3://",
    "http://",
    "https://",
)
POP_SECONDS: Final = 0.5  # how soon a reader notices an error while it waits for an input


class InputReader:
    """Reads what main has to read of a block, or takes it from RIOS's own readers.

    Several threads may call `read` at once.

    Args:
        apply: The ``apply``.
        infiles: The files that main reads.
        ending: Says when reading is in vain.
        timings: Gets an interval "reading" for each block.
    """

    def __init__(self, apply: Apply, infiles: Any, ending: Ending, timings: Timers) -> None:
        self._apply = apply
        self._infiles = infiles
        self._ending = ending
        self._timings = timings
        self._rasterized = RasterizationMgr()
        if apply.inputs is not None:
            apply.inputs.popTimeout, apply.inputs.insertTimeout = POP_SECONDS, None

    @property
    def threads(self) -> int:
        """How many threads should read."""
        main_reads = vars(self._infiles) and self._apply.inputs is None
        return self._apply.read_threads if main_reads else 1

    def read_all(self) -> None:
        """From now on, read all files of each block."""
        self._infiles = self._apply.infiles

    def read(
        self, block: Any, opened: dict[Any, Any], *, everything: bool = False
    ) -> tuple[Any, Any]:
        """Read a block.

        Args:
            block: The block.
            opened: The files that this thread has opened; GDAL's datasets must not change threads.
            everything: Whether to read also the files that workers read.

        Returns:
            The block and its inputs, None if workers read all of them. RIOS's own readers decide
            themselves which block comes next.

        Raises:
            RiosTimeoutError: The ``apply`` is over.
        """
        if self._apply.inputs is not None:
            return self._pop()
        infiles = self._apply.infiles if everything else self._infiles
        if not vars(infiles):
            return block, None
        with self._timings.interval("reading"):
            return block, readBlockAllFiles(
                infiles,
                self._apply.workinggrid,
                block,
                self._apply.all_info,
                opened,
                self._apply.controls,
                self._apply.temporary_files,
                self._rasterized,
            )

    def _pop(self) -> tuple[Any, Any]:
        while True:
            try:
                block, inputs = self._apply.inputs.popNextBlock()
            except RiosTimeoutError:
                self._ending.end_if_rios_failed()
                if self._ending.ended:
                    raise
            else:
                return block, inputs


def split_files(infiles: Any, read: str, *, rios_reads: bool) -> tuple[Any, Any]:
    """Split the input files into those that main reads and those that workers read.

    Args:
        infiles: All of them.
        read: ``main``, ``workers`` or ``auto``; see `ExtraParams`.
        rios_reads: Whether RIOS reads all of them in main, whatever `read` says.
    """
    main, workers = FilenameAssociations(), FilenameAssociations()
    for name, value in vars(infiles).items():
        files = value if isinstance(value, list) else [value]
        remote = read == "workers" or (
            read == "auto" and all(str(file).startswith(REMOTE) for file in files)
        )
        setattr(workers if remote and not rios_reads else main, name, value)
    return main, workers
