"""The command ``rios-awsbatch clean``."""

import click

from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.jobs.sweep import sweep_submissions
from rios_plugin_awsbatch.run.sweep import sweep

from .common import opened_stack

__all__ = ["clean"]


@click.command()
@click.option(
    "--older-than",
    metavar="MINUTES",
    default=1440.0,
    show_default=True,
    type=click.FloatRange(10),
    help="How long a run must have been silent.",
)
def clean(older_than: float) -> None:
    """Delete what killed main scripts and ended jobs left behind.

    That is queues, objects and jobs of runs, and files of submissions. A main script says several
    times a minute that it is alive. If it is silent, its workers end within two minutes, and what
    else is left costs next to nothing. It is kept for a day: the script may run on a laptop that
    sleeps. A run whose workers are at work is left alone.
    """
    clients, _, stack = opened_stack("bucket")
    with explained(StackError, f"Cannot clean up {stack}"):
        runs = sweep(clients, stack.bucket, stale_seconds=older_than * 60)
        submissions = sweep_submissions(clients, stack.bucket)
    names = f": {', '.join(runs)}" if runs else "."
    click.echo(f"Swept {len(runs)} runs of {stack}{names}")
    if submissions:
        click.echo(f"Swept {len(submissions)} submissions whose jobs have ended.")
