"""The command ``rios-awsbatch submit``."""

import os
import sys
from pathlib import Path

import click

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.jobs.pack import script_at
from rios_plugin_awsbatch.jobs.submit import JobOptions
from rios_plugin_awsbatch.jobs.submit import submit as submit_job
from rios_plugin_awsbatch.jobs.sweep import sweep_submissions

from .common import note
from .jobs import follow_job, opened_jobs

__all__ = ["submit"]

_FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Have RIOS use AWS Batch, and tell the script how many threads.  [default: the script's]",
)
@click.option(
    "--image",
    metavar="IMAGE",
    help="Image to run in; main or main:TAG is in the stack's repository.  [default: the workers']",
)
@click.option(
    "--no-script",
    is_flag=True,
    help="IMAGE holds its own script; ARGS are the command for it.",
)
@click.option(
    "--vcpus",
    type=click.FloatRange(0, min_open=True),
    help="vCPUs of the main job.  [default: the stack's]",
)
@click.option(
    "--memory",
    type=click.IntRange(4),
    help="Memory of the main job in MiB.  [default: the stack's]",
)
@click.option(
    "--timeout",
    type=click.IntRange(60),
    help="Seconds after which Batch ends the job.  [default: the stack's]",
)
@click.option(
    "--folder",
    metavar="DIR",
    type=_FILE,
    help="A folder that holds the script and travels with it.  [default: none]",
)
@click.option(
    "--requirements",
    metavar="FILE",
    type=_FILE,
    help="pip's list of what the script and workers need.  [default: none]",
)
@click.option(
    "--env",
    "variables",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="A variable for the job and its workers; may be repeated.  [default: none]",
)
@click.option("--follow", is_flag=True, help="Show the job's log, and exit as the job does.")
@click.argument("arguments", metavar="[SCRIPT.py] [-- ARGS...]", nargs=-1, type=click.UNPROCESSED)
def submit(  # noqa: PLR0913 - the options of a command
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
    """Run a script on AWS Batch, as a job that starts workers.

    The script, its folder and its requirements travel through the stack's bucket, and run in the
    workers' image: you need not build an image. For example:

    \b
        rios-awsbatch submit ndvi.py --follow -- /vsis3/b/in.tif /vsis3/b/out.tif
    """  # noqa: D301 - click keeps the lines after such a mark as they are
    environment = dict(_variable(one) for one in variables)
    script = None
    if no_script:
        if image is None or folder is not None or requirements is not None:
            raise click.UsageError(
                "--no-script needs --image, and neither --folder nor --requirements."
            )
    elif not arguments:
        raise click.UsageError("Which script? Give --no-script if the image holds its own.")
    else:
        script = script_at(Path(arguments[0]), arguments[1:], folder, requirements)
    command = arguments if no_script else ()
    options = JobOptions(image, command, vcpus, memory, timeout, threads, environment)
    clients, settings, stack = opened = opened_jobs()
    job = submit_job(clients, settings, stack, script, options)
    what = f"{arguments[0]} ({job.size / 1024:.1f} KiB)" if script else "The image's own script"
    note(f"{what} is job {job.job_id} on {stack}, in image {job.image}")
    if follow:
        sys.exit(follow_job(opened, job.job_id, new=True))
    note(
        f"rios-awsbatch logs --follow {job.job_id} shows its log, "
        f"rios-awsbatch cancel {job.job_id} ends it."
    )
    with attempted(stack.bucket, "sweep submissions", kind="bucket"):
        sweep_submissions(clients, stack.bucket)


def _variable(given: str) -> tuple[str, str]:
    """Return the name and value of NAME=VALUE, or of NAME as it is set here."""
    name, equals, value = given.partition("=")
    if not equals:
        if name not in os.environ:
            problem = f"{name} is not set here; give {name}=VALUE."
            raise click.BadParameter(problem, param_hint="--env")
        value = os.environ[name]
    if not name or name.startswith("AWS_BATCH") or "," in name or name.split() != [name]:
        problem = f"{given!r} does not name a variable that a job can have."
        raise click.BadParameter(problem, param_hint="--env")
    return name, value
