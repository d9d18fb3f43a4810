"""The command ``rios-awsbatch demo``."""

import contextlib
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from rios_plugin_awsbatch.demo.job import DemoManager, print_report, run_demo
from rios_plugin_awsbatch.hosts.rios1 import AWSBatchJobManager
from rios_plugin_awsbatch.local import LocalAWS

__all__ = ["demo"]

SCENE: Final = Path(__file__).parents[1] / "demo" / "scene" / "L7_ETMs.tif"


@click.command()
@click.option(
    "--input",
    "scene",
    default=str(SCENE),
    metavar="SCENE.tif",
    help="The raster; any name that GDAL opens.  [default: Landsat 7, Olinda]",
)
@click.option(
    "--output",
    default="ndvi.tif",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The GeoTIFF to write.",
)
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="How many workers to start.",
)
@click.option(
    "--block",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Width and height of a block in pixels.",
)
@click.option(
    "--aws", is_flag=True, help="Use the stack that the settings name, not the embedded AWS."
)
def demo(scene: str, output: Path, workers: int, block: int, *, aws: bool) -> None:
    """Compute the NDVI of a scene in workers, and draw it.

    The result is compared with a serial run. With --aws, this checks a new stack.
    """
    console = Console()
    with contextlib.ExitStack() as steps:

        def start(blocks_at_once: int) -> AWSBatchJobManager:
            if not aws:
                steps.enter_context(LocalAWS(workers=workers))
            return DemoManager(blocks_at_once)

        report = run_demo(scene, output, workers, block, console, start)
    print_report(report, console)
