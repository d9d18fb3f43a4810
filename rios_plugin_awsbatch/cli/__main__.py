"""The command ``rios-awsbatch``. Each command imports what it needs when it runs."""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.errors import AWSBatchException

from . import image as commands_image
from . import jobs as commands_jobs
from .stack import messages_only, stack

if TYPE_CHECKING:
    from rios_plugin_awsbatch.aws.clients import Clients
    from rios_plugin_awsbatch.local import LocalAWS
    from rios_plugin_awsbatch.settings import Settings

__all__ = ["main"]

SCENE = Path(__file__).parents[1] / "demo" / "scene" / "L7_ETMs.tif"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rios-awsbatch")
@click.option("-v", "--verbose", count=True, help="Log what happens; twice for more.")
def commands(verbose: int) -> None:
    """Run RIOS block functions on AWS Batch workers."""
    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)


@commands.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option(
    "--workers",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    help="Workers at the same time.",
)
@click.option(
    "--logs",
    is_flag=True,
    help="Show what workers log, with what your function prints, on standard error.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def local(workers: int, command: tuple[str, ...], *, logs: bool) -> None:
    """Run COMMAND on an embedded AWS: no account, no credentials, no network.

    boto3, this package and its workers use the embedded AWS as long as COMMAND runs; then it is gone with all that was
    in it. For example: rios-awsbatch local --workers 2 -- python script.py
    """
    # `python` is the one that this package is installed for, whether or not its environment is activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with _embedded(workers, logs=logs) as aws:
        try:
            environment = {**aws.adapted(os.environ), "PATH": path}
            program = shutil.which(command[0], path=path) or command[0]
            process = subprocess.Popen([program, *command[1:]], env=environment)  # noqa: S603 - the user's own command
        except OSError as error:
            raise AWSBatchException(f"{command[0]} cannot be run: {error.strerror}.") from None
        sys.exit(_wait(process))


@commands.command()
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
    "--workers", default=2, show_default=True, type=click.IntRange(1), help="Workers on AWS Batch."
)
@click.option(
    "--block",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Pixels on a side of a block.",
)
@click.option(
    "--aws", is_flag=True, help="Run on the stack that the settings name, not on the embedded AWS."
)
def demo(scene: str, output: Path, workers: int, block: int, *, aws: bool) -> None:
    """Compute the NDVI of a scene in workers, compare it with a serial run, and draw it.

    On the embedded AWS, unless --aws is given: then it is the check to make after creating a stack.
    """
    from rios_plugin_awsbatch.demo.job import print_report, run_demo  # noqa: PLC0415 - as the module's docstring says

    console = Console()
    with contextlib.ExitStack() as steps:
        if not aws:
            embedded = steps.enter_context(_embedded(workers))
            steps.enter_context(embedded.activated())
            steps.callback(_end_runs)
        report = run_demo(scene, output, workers, block, console)
    print_report(report, console)


@commands.command()
@click.option(
    "--older-than", default=30.0, show_default=True, type=click.FloatRange(10), help="Minutes."
)
def clean(older_than: float) -> None:
    """Delete what runs left behind whose main script was killed: queues, objects, jobs.

    A main script says every five minutes that it is alive, so that runs silent for longer than --older-than are over.
    """
    from rios_plugin_awsbatch.jobs.submit import sweep_submissions  # noqa: PLC0415
    from rios_plugin_awsbatch.run.sweep import sweep  # noqa: PLC0415 - as the module's docstring says

    clients, settings, bucket = _stack()
    swept = sweep(clients, bucket, stale_seconds=older_than * 60)
    where = f"stack {settings.stack} in {settings.region}"
    Console().print(
        f"Swept {len(swept)} runs of {where}{': ' + ', '.join(swept) if swept else '.'}",
        highlight=False,
    )
    if submissions := sweep_submissions(clients, bucket):
        Console().print(
            f"Swept {len(submissions)} submissions whose jobs have ended.", highlight=False
        )


@commands.command()
@click.option(
    "--worker",
    is_flag=True,
    help="Start a worker as well, and compare its versions with those here.",
)
def doctor(*, worker: bool) -> None:
    """Say what is installed, registered, set and reachable, and what to do about what is not."""
    from .doctor import examine  # noqa: PLC0415 - as the module's docstring says

    console = Console(soft_wrap=True, highlight=False)
    signs = {"good": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]BAD [/]"}
    bad = 0
    for finding in examine(ask_worker=worker):
        bad += finding.verdict == "bad"
        console.print(
            f"{signs[finding.verdict]} [bold]{escape(finding.what)}[/]: {escape(finding.detail)}"
        )
        if finding.remedy:
            console.print(f"     -> {escape(finding.remedy)}")
    sys.exit(min(bad, 1))


for command in (
    stack,
    commands_image.image,
    commands_jobs.submit,
    commands_jobs.jobs,
    commands_jobs.logs,
    commands_jobs.cancel,
):
    commands.add_command(command)


def main() -> None:
    """Run ``rios-awsbatch``; a user's mistake is one sentence, a bug is a traceback."""
    with messages_only("rios-awsbatch"):
        commands(standalone_mode=False)


def _stack() -> "tuple[Clients, Settings, str]":
    from rios_plugin_awsbatch.aws.clients import Clients  # noqa: PLC0415 - as the module's docstring says
    from rios_plugin_awsbatch.settings import Settings, load  # noqa: PLC0415
    from rios_plugin_awsbatch.stack.outputs import read_stack  # noqa: PLC0415

    settings = load(Settings)
    clients = Clients(settings.region)
    return clients, settings, read_stack(clients, settings, "bucket").bucket


def _embedded(workers: int, *, logs: bool = False) -> "LocalAWS":
    from rios_plugin_awsbatch.local import LocalAWS  # noqa: PLC0415 - as the module's docstring says

    return LocalAWS(workers=workers, logs=logs)


def _end_runs() -> None:
    """End the runs of this process while the AWS that they are on is still there."""
    from rios_plugin_awsbatch.run.leases import close_all  # noqa: PLC0415 - as the module's docstring says

    close_all()


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Return the exit status of the user's command; Ctrl-C is its own affair, and so is SIGTERM, which it is sent."""
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code
