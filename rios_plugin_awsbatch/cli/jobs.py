"""The commands about jobs: ``rios-awsbatch submit``, ``logs``, ``jobs``, ``cancel``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rios_plugin_awsbatch.errors import SubmissionError

if TYPE_CHECKING:
    from rios_plugin_awsbatch.aws.clients import Clients
    from rios_plugin_awsbatch.settings import Settings
    from rios_plugin_awsbatch.stack.outputs import StackOutputs

__all__ = ["cancel", "jobs", "logs", "submit"]

DAY = 24 * 3600.0
INTERRUPTED = 130
_FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Ask RIOS for AWS Batch, and tell the script how many threads.",
)
@click.option(
    "--image",
    metavar="IMAGE",
    help="Image to run in; main or main:TAG is in the stack's repository.  [workers']",
)
@click.option(
    "--no-script",
    is_flag=True,
    help="IMAGE brings its own script; ARGS are the command that it gets.",
)
@click.option(
    "--vcpus",
    type=click.FloatRange(0, min_open=True),
    help="vCPUs of the main job.  [the definition's]",
)
@click.option(
    "--memory", type=click.IntRange(4), help="MiB of memory of the main job.  [the definition's]"
)
@click.option(
    "--timeout",
    type=click.IntRange(60),
    help="Seconds after which Batch ends the job.  [the definition's]",
)
@click.option(
    "--folder", metavar="DIR", type=_FILE, help="A folder that goes with the script, and holds it."
)
@click.option(
    "--requirements", metavar="FILE", type=_FILE, help="pip's list of what script and workers need."
)
@click.option(
    "--env",
    "variables",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Variable for the job; may be repeated.",
)
@click.option("--follow", is_flag=True, help="Show its log, and end as it does.")
@click.argument("arguments", metavar="[SCRIPT.py] [-- ARGS...]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def submit(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    *,
    threads: int | None,
    image: str | None,
    no_script: bool,
    vcpus: float | None,
    memory: int | None,
    timeout: int | None,
    folder: Path | None,
    requirements: Path | None,
    variables: tuple[str, ...],
    follow: bool,
    arguments: tuple[str, ...],
) -> None:
    """Run SCRIPT.py on AWS Batch, as the main job that starts workers.

    The script, a folder with it and a list of requirements travel through the stack's bucket, and run in the image of
    the workers: no image needs to be built. For example:

    \b
        rios-awsbatch submit ndvi.py --follow -- /vsis3/bucket/scene.tif /vsis3/bucket/ndvi.tif
    """  # noqa: D301 - click keeps the lines after such a mark as they are
    from rios_plugin_awsbatch.jobs.pack import Script, check  # noqa: PLC0415 - only when it is run
    from rios_plugin_awsbatch.jobs.submit import Wishes, tidy  # noqa: PLC0415
    from rios_plugin_awsbatch.jobs.submit import submit as submit_main  # noqa: PLC0415

    script: Script | None = None
    if no_script:
        if image is None or folder is not None or requirements is not None:
            raise click.UsageError(
                "--no-script needs --image, and neither --folder nor --requirements.", context
            )
    elif not arguments:
        raise click.UsageError(
            "Which script? Or give --no-script, if the image brings its own.", context
        )
    else:
        path, *rest = arguments
        script = Script(Path(path), tuple(rest), folder, requirements)
    wishes = Wishes(
        image,
        arguments if no_script else (),
        vcpus,
        memory,
        timeout,
        threads,
        dict(_variable(one) for one in variables),
    )
    if script is not None:
        check(script)
    clients, settings, stack = _stack()
    job = submit_main(clients, settings, stack, script, wishes)
    what = (
        f"{script.path} ({job.size / 1024:.1f} KiB)"
        if script is not None
        else "The image's own script"
    )
    _say(f"{what} is job {job.job_id} on {stack}, in image {job.image}")
    if follow:
        sys.exit(_follow(clients, stack, job.job_id))
    _say(
        f"rios-awsbatch logs --follow {job.job_id} shows its log, rios-awsbatch cancel {job.job_id} ends it."
    )
    tidy(clients, stack.bucket)


@click.command()
@click.option("--follow", is_flag=True, help="Go on until the job has ended, and end as it does.")
@click.argument("job")
def logs(job: str, *, follow: bool) -> None:
    """Show the log of JOB: an id, the beginning of one, or a name."""
    from rios_plugin_awsbatch.jobs.listing import find, log_lines  # noqa: PLC0415 - only when it is run

    clients, _, stack = _stack()
    job_id = find(clients, stack, job)
    if follow:
        sys.exit(_follow(clients, stack, job_id))
    for line in log_lines(clients, stack, job_id):
        click.echo(line)


@click.command()
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what ended more than a day ago, as long as Batch knows it.",
)
def jobs(*, everything: bool) -> None:
    """List the stack's jobs, main scripts and workers, the newest first."""
    from rios_plugin_awsbatch.jobs.listing import listed  # noqa: PLC0415 - only when it is run

    clients, _, stack = _stack()
    lines = listed(clients, stack, ended_within=None if everything else DAY)
    table = Table(box=None, pad_edge=False)
    for heading in ("JOB", "WHAT", "NAME", "STATUS", "SUBMITTED", "TIME", "REASON"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("JOB", "STATUS"))
    colours = {"RUNNING": "green", "SUCCEEDED": "dim", "FAILED": "red"}
    for line in lines:
        status = f"[{colours.get(line.status, 'yellow')}]{line.status}[/]"
        many = f"{line.size} workers" if line.size > 1 else line.kind.removesuffix("s")
        submitted = line.created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        time = "" if line.seconds is None else f"{line.seconds:.0f} s"
        table.add_row(
            line.job_id, many, escape(line.name), status, submitted, time, escape(line.reason)
        )
    console = (
        Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=250)
    )
    console.print(table if lines else f"No jobs on {stack}.")


@click.command()
@click.argument("wanted", metavar="JOB...", nargs=-1, required=True)
def cancel(wanted: tuple[str, ...]) -> None:
    """End each JOB: an id, the beginning of one, or a name.

    A main script ends its run in order: its workers, queues and objects go with it.
    """
    from rios_plugin_awsbatch.jobs.listing import cancel as cancel_job  # noqa: PLC0415 - only when it is run
    from rios_plugin_awsbatch.jobs.listing import find  # noqa: PLC0415

    clients, _, stack = _stack()
    missed = 0
    for one in wanted:
        try:
            job_id = find(clients, stack, one)
            ended = cancel_job(clients, stack, job_id)
            click.echo(
                f"Job {job_id} is being ended." if ended else f"Job {job_id} has already ended."
            )
        except SubmissionError as error:
            missed += 1
            click.echo(f"rios-awsbatch: {error}", err=True)
    sys.exit(min(missed, 1))


def _follow(clients: "Clients", stack: "StackOutputs", job_id: str) -> int:
    from rios_plugin_awsbatch.jobs.listing import follow  # noqa: PLC0415 - only when it is run

    try:
        ending = follow(clients, stack, job_id, click.echo, _say)
    except KeyboardInterrupt:
        return _left(clients, stack, job_id)
    _say(ending.sentence)
    return ending.exit_status


def _left(clients: "Clients", stack: "StackOutputs", job_id: str) -> int:
    """Ask what is to become of a job that is followed no more; without anybody to ask, it goes on."""
    from rios_plugin_awsbatch.jobs.listing import cancel as cancel_job  # noqa: PLC0415 - only when it is run

    end_it = False
    if sys.stdin.isatty():
        try:
            end_it = click.confirm(f"\nEnd job {job_id} as well?", default=False, err=True)
        except click.Abort:  # Ctrl-C once more
            _say("")
    if end_it and cancel_job(clients, stack, job_id):
        _say(f"Job {job_id} is being ended.")
    else:
        _say(
            f"Job {job_id} goes on. rios-awsbatch logs --follow {job_id} shows its log again, "
            f"rios-awsbatch cancel {job_id} ends it."
        )
    return INTERRUPTED


def _say(text: str) -> None:
    """Tell the user, apart from the job's own log."""
    click.echo(text, err=True)


def _variable(given: str) -> tuple[str, str]:
    """Return the name and value of NAME=VALUE, or of NAME as it is here."""
    name, equals, value = given.partition("=")
    if not equals:
        if name not in os.environ:
            raise click.BadParameter(
                f"{name} is not set here; give {name}=VALUE.", param_hint="--env"
            )
        value = os.environ[name]
    if not name or name.startswith("AWS_BATCH"):
        raise click.BadParameter(
            f"{given!r} does not name a variable that a job can have.", param_hint="--env"
        )
    return name, value


def _stack() -> "tuple[Clients, Settings, StackOutputs]":
    from rios_plugin_awsbatch.aws.clients import Clients  # noqa: PLC0415 - only when a command is run
    from rios_plugin_awsbatch.settings import Settings, load  # noqa: PLC0415
    from rios_plugin_awsbatch.stack.outputs import read_stack  # noqa: PLC0415

    settings = load(Settings)
    clients = Clients(settings.region)
    return (
        clients,
        settings,
        read_stack(clients, settings, "bucket", "job_queue", "main_definition", "job_definition"),
    )
