"""The commands ``rios-awsbatch jobs``, ``logs`` and ``cancel``."""

import sys
from typing import Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.jobs.listing import JobLine, find, listed
from rios_plugin_awsbatch.jobs.listing import cancel as cancel_job
from rios_plugin_awsbatch.jobs.logs import follow, log_lines

from .common import OpenedStack, note, opened_stack
from .errors import INTERRUPTED

__all__ = ["cancel", "follow_job", "jobs", "logs", "opened_jobs"]

DAY: Final = 24 * 3600.0
PIPED_WIDTH: Final = 250  # for a program that reads the table, no line is folded
_COLOURS: Final = {"RUNNING": "green", "SUCCEEDED": "dim", "FAILED": "red"}


@click.command()
@click.option(
    "--follow", "following", is_flag=True, help="Go on until the job ends; exit as it does."
)
@click.argument("job")
def logs(job: str, *, following: bool) -> None:
    """Show a job's log.

    JOB is a job's id, the beginning of one, or a name.
    """
    opened = opened_jobs()
    job_id = find(opened.clients, opened.stack, job)
    if following:
        sys.exit(follow_job(opened, job_id))
    for line in log_lines(opened.clients, opened.stack, job_id):
        click.echo(line)


@click.command()
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Include jobs that ended more than a day ago, as long as Batch knows them.",
)
def jobs(*, everything: bool) -> None:
    """List the stack's jobs, the newest first.

    Main scripts and workers are listed, with jobs of the last day that have ended.
    """
    clients, _, stack = opened_jobs()
    lines = listed(clients, stack, ended_within=None if everything else DAY)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(_table(lines) if lines else f"No jobs on {stack}.")


@click.command()
@click.argument("wanted", metavar="JOB...", nargs=-1, required=True)
def cancel(wanted: tuple[str, ...]) -> None:
    """Cancel jobs.

    Each JOB is a job's id, the beginning of one, or a name. A main script ends its run in order:
    its workers, queues and objects go with it.
    """
    clients, _, stack = opened_jobs()
    failed = False
    for one in wanted:
        try:
            job_id = find(clients, stack, one)
            ending = cancel_job(clients, stack, job_id)
            state = "is being ended" if ending else "has already ended"
            click.echo(f"Job {job_id} {state}.")
        except SubmissionError as error:
            failed = True
            note(f"rios-awsbatch: {error}")
    sys.exit(failed)


def opened_jobs() -> OpenedStack:
    """Return the stack that the settings name, with what its jobs need."""
    return opened_stack("bucket", "job_queue", "main_definition", "job_definition")


def follow_job(opened: OpenedStack, job_id: str, *, new: bool = False) -> int:
    """Show a job's log until it ends, or until Ctrl-C.

    Returns:
        The exit status of the job, or of Ctrl-C.
    """
    try:
        ending = follow(opened.clients, opened.stack, job_id, click.echo, note, new=new)
    except KeyboardInterrupt:
        _offer_to_end(opened, job_id)
        return INTERRUPTED
    note(ending.sentence)
    return ending.exit_status


def _offer_to_end(opened: OpenedStack, job_id: str) -> None:
    """Ask whether to end a job that is no longer followed; without a terminal, it goes on."""
    end_it = False
    if sys.stdin.isatty():
        try:
            end_it = click.confirm(f"\nEnd job {job_id} as well?", default=False, err=True)
        except click.Abort:  # Ctrl-C once more
            note("")
    if end_it and cancel_job(opened.clients, opened.stack, job_id):
        note(f"Job {job_id} is being ended.")
        return
    note(
        f"Job {job_id} goes on. rios-awsbatch logs --follow {job_id} shows its log again, "
        f"rios-awsbatch cancel {job_id} ends it."
    )


def _table(lines: list[JobLine]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("JOB", "WHAT", "NAME", "STATUS", "SUBMITTED", "TIME", "REASON"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("JOB", "STATUS"))
    for line in lines:
        table.add_row(
            line.job_id,
            f"{line.size} workers" if line.size > 1 else line.kind.removesuffix("s"),
            escape(line.name),
            f"[{_COLOURS.get(line.status, 'yellow')}]{line.status}[/]",
            line.created.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            "" if line.seconds is None else f"{line.seconds:.0f} s",
            escape(line.reason),
        )
    return table
