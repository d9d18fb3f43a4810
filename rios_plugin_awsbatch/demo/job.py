"""A raster job for the demo and for checking a stack: an index of a scene, computed by workers.

    scene --GDAL--> blocks, a round at a time --AWSBatchJobManager--> index blocks --GDAL--> GeoTIFF, PNG

It works as RIOS does, with the same contract towards the job manager, but needs no RIOS. The result is compared with a
serial run, and files appear under their own names only when they are complete and right.
"""

import contextlib
import dataclasses
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.hosts.rios1 import AWSBatchJobManager

from . import quicklook, raster
from .indices import BlockInfo, BlockJob, brightness, ndvi

__all__ = ["DemoReport", "JobManager", "print_report", "run_demo", "run_job"]


class Statistics(Protocol):
    """What main and workers counted together."""

    @property
    def workers(self) -> int:
        """Workers that have been ready."""

    @property
    def tasks(self) -> int:
        """Blocks that workers computed."""

    @property
    def requests(self) -> int:
        """Requests to AWS."""

    @property
    def bytes_sent(self) -> int:
        """Bytes that left main."""

    @property
    def bytes_received(self) -> int:
        """Bytes that came back."""


class JobManager(Protocol):
    """The part of a job manager that the demo uses."""

    def runSubJobs(self, function: Callable[..., None], jobs: Sequence[Any], /) -> list[Any]:
        """Compute blocks, and return their results in order."""

    def finalise(self) -> None:
        """End the workers."""

    def statistics(self) -> Statistics:
        """Return what was counted so far."""


@dataclasses.dataclass(frozen=True)
class Index:
    """What is computed of a scene: the function, its input bands, and words for people."""

    function: Callable[..., None]
    bands: list[int]
    title: str
    description: str
    signed: bool

    @classmethod
    def of(cls, scene: raster.Scene) -> "Index":
        """Choose NDVI if the scene has what it takes, else the brightness."""
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
    """What is to be done: an index of a scene, window by window."""

    scene: raster.Scene
    index: Index
    windows: list[raster.Window]

    def job(self, window: raster.Window) -> BlockJob:
        """Read a block."""
        pixels, valid = self.scene.read(window, self.index.bands)
        inputs = types.SimpleNamespace(scene=pixels, valid=valid)
        return BlockJob(BlockInfo(window.xblock, window.yblock, raster.NODATA), inputs)


@dataclasses.dataclass(frozen=True)
class DemoReport:
    """What a demo did.

    Attributes:
        index: What was computed, of which bands.
        blocks: All blocks of the scene.
        tasks: Those that workers computed; main computes the first of each round.
        workers: How many have been ready for work.
        bytes_sent: From main to workers.
        bytes_received: From workers to main.
        requests: To AWS, by main and workers.
        seconds: From the first block read to the last one written, the start of workers included.
        output: The GeoTIFF.
        quicklook: The PNG.
    """

    index: str
    blocks: int
    tasks: int
    workers: int
    bytes_sent: int
    bytes_received: int
    requests: int
    seconds: float
    output: Path
    quicklook: Path


def run_demo(
    input: Path | str,  # noqa: A002 - the option's name
    output: Path,
    workers: int,
    block: int,
    console: Console,
) -> DemoReport:
    """Compute the index of a scene in workers on AWS Batch, or what stands for it.

    Args:
        input: The scene: a file, or any name that GDAL opens.
        output: The GeoTIFF to write; a PNG is written beside it.
        workers: How many; one more block at a time is computed in this process.
        block: Pixels on a side of a block.
        console: For the progress bar, which appears on a terminal only.

    Raises:
        AWSBatchException: The scene, the output or the numbers are not usable, or the result is not that of a serial
            run; and whatever the job manager raises.
    """
    return run_job(input, output, workers, block, console, AWSBatchJobManager)


def run_job(  # noqa: PLR0913, PLR0917 - the arguments of `run_demo`, and one more
    input: Path | str,  # noqa: A002
    output: Path,
    workers: int,
    block: int,
    console: Console,
    open_manager: Callable[[int], JobManager],
) -> DemoReport:
    """Same as `run_demo`, but with a job manager of one's own, opened when everything else has been checked."""
    _check(input, output, workers)
    scene = raster.Scene(input)
    if not 1 <= block <= max(scene.width, scene.height):
        size = f"{scene.width} x {scene.height}"
        raise AWSBatchException(
            f"A block of {block} pixels does not suit {input}, which has {size} pixels."
        )
    plan = Plan(scene, Index.of(scene), raster.windows(scene.width, scene.height, block))
    picture = output.with_suffix(".png")
    with (
        raster.replacing(output, picture) as (tif, png),
        contextlib.closing(
            raster.IndexFile(tif, output, scene, block, plan.index.description)
        ) as file,
        _progress(console) as progress,
    ):
        began = time.monotonic()
        counted = _compute(plan, file, open_manager(workers + 1), workers + 1, progress)
        seconds = time.monotonic() - began
        file.finish()
        _compare(plan, file, progress)
        _draw(plan.index, file, png, picture)
    return DemoReport(
        index=plan.index.description,
        blocks=len(plan.windows),
        tasks=counted.tasks,
        workers=counted.workers,
        bytes_sent=counted.bytes_sent,
        bytes_received=counted.bytes_received,
        requests=counted.requests,
        seconds=seconds,
        output=output,
        quicklook=picture,
    )


def _check(scene: Path | str, output: Path, workers: int) -> None:
    if workers < 1:
        raise AWSBatchException(f"{workers} workers cannot compute anything; give at least 1.")
    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise AWSBatchException(
            f"{output} must end in .tif: the output is a GeoTIFF, with a PNG beside it."
        )
    if not output.parent.is_dir():
        raise AWSBatchException(f"{output} cannot be written: there is no folder {output.parent}")
    for path in (output, output.with_suffix(".png")):
        if path.is_dir():
            raise AWSBatchException(f"{path} cannot be written: it is a folder.")
        if path.exists() and Path(scene).exists() and path.samefile(scene):
            raise AWSBatchException(
                f"{path} is the input, which the output would destroy; give another --output."
            )


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _compute(
    plan: Plan, file: raster.IndexFile, manager: JobManager, at_once: int, progress: Progress
) -> Statistics:
    """Compute all blocks and write them, a round at a time, so that memory holds one round."""
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


def _compare(plan: Plan, file: raster.IndexFile, progress: Progress) -> None:
    """Compare what is on disk with a serial run, pixel by pixel."""
    for window in progress.track(plan.windows, description="Comparing with a serial run"):
        job = plan.job(window)
        params = job.getFunctionParams()
        plan.index.function(*params)
        expected, written = job.getFunctionResult(params), file.read(window)
        equal = (expected == written) | (np.isnan(expected) & np.isnan(written))
        if not equal.all():
            raise AWSBatchException(
                f"{np.count_nonzero(~equal)} of {equal.size} pixels of block ({window.xblock}, {window.yblock}) are "
                "not those of a serial run, so nothing was written. Do the workers have the versions of this machine?"
            )


def _draw(index: Index, file: raster.IndexFile, path: Path, name: Path) -> None:
    values = file.read(largest=quicklook.LARGEST)
    picture = quicklook.draw(values, values != raster.NODATA, index.title, signed=index.signed)
    try:
        quicklook.write_png(path, picture)
    except OSError as error:
        raise AWSBatchException(f"{name} cannot be written: {error.strerror or error}") from error


def print_report(report: DemoReport, console: Console) -> None:
    """Print a short table of what was done, and where the files are."""
    rows = {
        "Index": report.index,
        "Blocks": f"{report.blocks:,}, of which {report.tasks:,} in workers",
        "Workers": f"{report.workers:,}",
        "Bytes sent to workers": f"{report.bytes_sent:,}",
        "Bytes received": f"{report.bytes_received:,}",
        "AWS requests per block": f"{report.requests / report.tasks:.1f}"
        if report.tasks
        else "none",
        "Seconds": f"{report.seconds:.1f}",
        "Compared with a serial run": "all pixels equal",
        "Written": f"{report.output}\n{report.quicklook}",
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, Text(value))  # as it is: a file's name may look like rich's markup
    console.print(table)
