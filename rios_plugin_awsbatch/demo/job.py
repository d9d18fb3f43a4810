"""A raster job for the demo and for checking a stack: workers compute an index of a scene.

    scene --GDAL--> rounds of blocks --DemoManager--> index --GDAL--> GeoTIFF, PNG

It works as RIOS 1.4 does, with the same contract with the job manager, but needs no RIOS, and
leaves all blocks to the workers. A serial run comes first: a scene that cannot be read is refused
before anything is started, and the workers' result is compared with it. Files appear under their
own names only when they are complete and right.
"""

import contextlib
import dataclasses
import hashlib
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.hosts.rios1 import AWSBatchJobManager
from rios_plugin_awsbatch.run.statistics import Statistics

from . import quicklook, raster
from .index_file import IndexFile, replacing
from .indices import BlockInfo, BlockJob, brightness, ndvi
from .report import DemoReport, counted_blocks, print_report

__all__ = ["DemoManager", "DemoReport", "print_report", "run_demo"]


class DemoManager(AWSBatchJobManager):
    """The job manager, but main computes no block: the demo shows that workers do."""

    def runSubJobs(self, function: Callable[..., Any], fnInputs: Sequence[Any]) -> list[Any]:
        """Have all blocks of a round computed by workers; return the outputs in their order."""
        jobs = [self.startOneJob(function, one) for one in fnInputs]
        self.waitOnJobs(jobs)
        return self.gatherAllOutputs(jobs)


@dataclasses.dataclass(frozen=True)
class Index:
    """What is computed of a scene.

    Attributes:
        function: Computes it of one block.
        bands: The numbers of the bands that the function gets, in order.
        title: For the picture's legend.
        description: For people.
        signed: Whether its values lie on both sides of zero.
    """

    function: Callable[..., None]
    bands: list[int]
    title: str
    description: str
    signed: bool

    @classmethod
    def of(cls, scene: raster.Scene) -> "Index":
        """Choose NDVI if the scene has red and near infrared, else brightness."""
        found = scene.red_and_near_infrared()
        if found:
            red, infrared = map(scene.describe, found)
            return cls(ndvi, list(found), "NDVI", f"NDVI of {red} and {infrared}", signed=True)
        bands = (
            "its only band"
            if len(scene.bands) == 1
            else f"the mean of its {len(scene.bands)} bands"
        )
        description = f"Brightness, {bands} (no red and near infrared found)"
        return cls(brightness, scene.bands, "BRIGHTNESS", description, signed=False)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        scene: The scene.
        index: What to compute of it.
        windows: The blocks, in the order in which they are computed.
    """

    scene: raster.Scene
    index: Index
    windows: list[raster.Window]

    def job(self, window: raster.Window) -> BlockJob:
        """Read a block, as a job for the job manager."""
        pixels, valid = self.scene.read(window, self.index.bands)
        scale, offset = self.scene.calibration(self.index.bands)
        inputs = types.SimpleNamespace(scene=pixels, valid=valid, scale=scale, offset=offset)
        return BlockJob(BlockInfo(window.xblock, window.yblock, raster.NODATA), inputs)

    def compute(self, window: raster.Window) -> npt.NDArray[np.float32]:
        """Compute a block here, as a serial run does."""
        job = self.job(window)
        params = job.getFunctionParams()
        self.index.function(*params)
        return job.getFunctionResult(params)


def run_demo(  # noqa: PLR0913, PLR0917 - the options of the command, and where to show progress
    input: Path | str,  # noqa: A002 - the option's name
    output: Path,
    workers: int,
    block: int,
    console: Console,
    manager: Callable[[int], AWSBatchJobManager] = DemoManager,
) -> DemoReport:
    """Compute the index of a scene with workers on AWS Batch, or on the embedded AWS.

    Args:
        input: The scene: a file, or any name that GDAL opens.
        output: The GeoTIFF to write; a PNG is written beside it.
        workers: How many workers.
        block: Pixels on each side of a block; a smaller scene is one block.
        console: For the progress bar, which appears on a terminal only.
        manager: Makes the job manager for so many blocks at once, after all else has been checked.

    Raises:
        AWSBatchException: The scene, the output or a number cannot be used, or the result differs
            from a serial run's.
        Exception: Whatever the job manager raises.
    """
    _check(input, output, workers)
    plan = _plan(raster.Scene(input), block)
    picture = output.with_suffix(".png")
    with (
        replacing(output, picture) as (tif, png),
        contextlib.closing(
            IndexFile(tif, output, plan.scene, block, plan.index.description)
        ) as file,
        _progress(console) as progress,
        counted_blocks() as counter,
    ):
        serial = _serial_run(plan, progress)
        # One block more than workers, so that the next one is at hand.
        made = manager(workers + 1)
        begun = time.monotonic()
        statistics = _compute(plan, file, made, workers + 1, progress)
        seconds = time.monotonic() - begun
        in_workers, in_main = counter.totals(len(plan.windows))
        file.finish()
        _compare(plan, serial, file)
        _draw(plan.index, file, png, picture)
    return DemoReport(
        index=plan.index.description,
        in_workers=in_workers,
        in_main=in_main,
        workers=statistics.workers,
        bytes_sent=statistics.bytes_sent,
        bytes_received=statistics.bytes_received,
        requests=statistics.requests,
        seconds=seconds,
        output=output,
        quicklook=picture,
    )


def _check(scene: Path | str, output: Path, workers: int) -> None:
    if workers < 1:
        raise AWSBatchException(f"workers is {workers}; give at least 1.")
    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise AWSBatchException(
            f"{output} must end in .tif; it becomes a GeoTIFF, and a PNG is written beside it."
        )
    if not output.parent.is_dir():
        raise AWSBatchException(f"{output} cannot be written: there is no folder {output.parent}.")
    for path in (output, output.with_suffix(".png")):
        if path.is_dir():
            raise AWSBatchException(f"{path} cannot be written: it is a folder.")
        if path.exists() and Path(scene).exists() and path.samefile(scene):
            raise AWSBatchException(
                f"{path} is the input, which would be overwritten; give another --output."
            )


def _plan(scene: raster.Scene, block: int) -> Plan:
    if block < 1:
        raise AWSBatchException(f"block is {block}; give at least 1.")
    return Plan(scene, Index.of(scene), raster.windows(scene.width, scene.height, block))


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _compute(
    plan: Plan,
    file: IndexFile,
    manager: AWSBatchJobManager,
    at_once: int,
    progress: Progress,
) -> Statistics:
    """Compute all blocks and write them, a round at a time: memory holds one round."""
    bar = progress.add_task("Starting workers", total=len(plan.windows))
    try:
        for start in range(0, len(plan.windows), at_once):
            windows = plan.windows[start : start + at_once]
            results = manager.runSubJobs(
                plan.index.function, [plan.job(window) for window in windows]
            )
            for window, values in zip(windows, results, strict=True):
                file.write(window, values)
            progress.update(bar, description="Computing blocks", advance=len(windows))
        return manager.statistics()
    finally:
        manager.finalise()


def _serial_run(plan: Plan, progress: Progress) -> list[bytes]:
    """Compute all blocks here; return the digest of each, because memory may not hold them."""
    windows = progress.track(plan.windows, description="Computing here, to compare")
    return [_digest(plan.compute(window)) for window in windows]


def _digest(values: npt.NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest()


def _compare(plan: Plan, serial: list[bytes], file: IndexFile) -> None:
    """Compare the file with a serial run, pixel by pixel."""
    for window, digest in zip(plan.windows, serial, strict=True):
        written = file.read(window)
        if _digest(written) == digest:
            continue
        expected = plan.compute(window)  # equal numbers may differ in their bits
        equal = (expected == written) | (np.isnan(expected) & np.isnan(written))
        if not equal.all():
            raise AWSBatchException(
                f"{np.count_nonzero(~equal)} of {equal.size} pixels of block ({window.xblock}, "
                f"{window.yblock}) differ from a serial run, so nothing was written. Make sure "
                "that the workers' image has the same versions as this machine."
            )


def _draw(index: Index, file: IndexFile, path: Path, name: Path) -> None:
    values = file.read(largest=quicklook.LARGEST)
    picture = quicklook.draw(values, values != raster.NODATA, index.title, signed=index.signed)
    try:
        quicklook.write_png(path, picture)
    except OSError as error:
        raise AWSBatchException(f"{name} cannot be written: {error.strerror or error}") from error
