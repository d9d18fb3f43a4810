"""The commands ``rios-awsbatch stack ...``, and the two scripts that RIOS's users know."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Final

import click

from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.create import create_stack
from rios_plugin_awsbatch.stack.delete import delete_stack, refuse_undeletable
from rios_plugin_awsbatch.stack.managed import ManagedStack
from rios_plugin_awsbatch.stack.modify import apply_plan, discard_plan, plan_change
from rios_plugin_awsbatch.stack.policy import POLICIES, names_for, policy_text
from rios_plugin_awsbatch.stack.report import report_on

from .common import opened_aws
from .stack_options import requested, what, where
from .stack_view import console, show_plan, show_progress, show_report

__all__ = ["createbatch", "deletebatch", "stack"]

_SEE_STATUS: Final = "`rios-awsbatch stack status` shows its progress"
_GOES_ON: Final = f"CloudFormation goes on; {_SEE_STATUS}."

_AS_CREATED: Final = "As for `stack create`.  [default: as the stack has it]"

_wait = click.option("--wait", is_flag=True, help="Wait until done, showing progress.")
_yes = click.option("--yes", is_flag=True, help="Delete images or objects without asking.")
_dont_ask = click.option(
    "--yes", is_flag=True, help="Do not ask; without a terminal, nobody is asked."
)


@click.group()
def stack() -> None:
    """Manage the stack."""


@stack.command()
@where
@what(new=True)
@_wait
def create(stackname: str | None, region: str | None, *, wait: bool, **options: Any) -> None:
    """Create the stack.

    It holds everything that runs need in AWS, and costs nothing while nothing runs.
    """
    _create(_managed(stackname, region), options, wait=wait)


@stack.command()
@where
@what(new=False)
@_wait
@_yes
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def modify(
    stackname: str | None,
    region: str | None,
    *,
    wait: bool,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Modify the stack.

    Options that are not given stay as they are, and running jobs go on.
    """
    _modify(_managed(stackname, region), options, wait=wait, yes=yes, dry_run=dry_run)


@stack.command()
@where
@_wait
@_dont_ask
def delete(stackname: str | None, region: str | None, *, wait: bool, yes: bool) -> None:
    """Delete the stack and everything in it.

    Its jobs are ended; its images, objects and logs are deleted.
    """
    _delete(_managed(stackname, region), wait=wait, yes=yes)


@stack.command()
@where
def status(stackname: str | None, region: str | None) -> None:
    """Show the state of the stack, and what may be wrong with it."""
    managed = _managed(stackname, region)
    show_report(managed, report_on(managed))


@stack.command()
@where
@click.option(
    "--for",
    "purpose",
    type=click.Choice(list(POLICIES)),
    default="main",
    show_default=True,
    help=f"What it is for: {'; '.join(f'{name}: {what}' for name, what in POLICIES.items())}.",
)
@click.option("--servicename", "service", help=_AS_CREATED)
@click.option("--ecrname", "repository", help=_AS_CREATED)
@click.option(
    "--policy",
    "attached",
    multiple=True,
    metavar="ARN",
    help="A policy that the creator may give to jobs, too.  [default: none]",
)
def policy(stackname: str | None, region: str | None, purpose: str, **options: Any) -> None:
    """Print an IAM policy for the stack.

    It has the names of the stack, which need not exist yet.
    """
    click.echo(policy_text(purpose, names_for(_managed(stackname, region), **options)))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@where
@what(new=True)
@_wait
@_yes
@click.option(
    "--modify", is_flag=True, help="Modify the stack: options that are not given stay as they are."
)
def createbatch(
    stackname: str | None,
    region: str | None,
    *,
    wait: bool,
    yes: bool,
    modify: bool,
    **options: Any,
) -> None:
    """Create or modify the CloudFormation stack for RIOS on AWS Batch."""
    managed = _managed(stackname, region)
    if modify:
        _modify(managed, options, wait=wait, yes=yes, dry_run=False)
    else:
        _create(managed, options, wait=wait)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@where
@_wait
@_dont_ask
def deletebatch(stackname: str | None, region: str | None, *, wait: bool, yes: bool) -> None:
    """Delete the CloudFormation stack for RIOS on AWS Batch, and everything in it."""
    _delete(_managed(stackname, region), wait=wait, yes=yes)


def _managed(name: str | None, region: str | None) -> ManagedStack:
    given = {"stack": name, "region": region}
    clients, settings = opened_aws(
        **{setting: value for setting, value in given.items() if value is not None}
    )
    return ManagedStack(clients, settings.stack)


def _create(managed: ManagedStack, options: dict[str, Any], *, wait: bool) -> None:
    parameters, tags = requested(**options)
    events = create_stack(managed, parameters, tags or {"RIOS": "1"})
    if not wait:
        console.print(f"Creating {managed}; {_SEE_STATUS}.")
        return
    with _interruptible(_GOES_ON):
        show_progress(events)
    console.print(
        f"Created {managed}. Next, run `rios-awsbatch image build` and `rios-awsbatch image push`."
    )


def _modify(
    managed: ManagedStack, options: dict[str, Any], *, wait: bool, yes: bool, dry_run: bool
) -> None:
    plan = plan_change(managed, *requested(**options))
    if plan.change_set is None:
        console.print(f"There is nothing to change in {managed}.")
        return
    show_plan(plan)
    with contextlib.ExitStack() as undo:
        undo.callback(discard_plan, managed, plan)
        if dry_run:
            return
        if plan.losses and not yes:
            _ask_to_lose(plan.losses, managed)
        undo.pop_all()
    events = apply_plan(managed, plan)
    if not wait:
        console.print(f"Changing {managed}; {_SEE_STATUS}.")
        return
    with _interruptible(_GOES_ON):
        show_progress(events)
    console.print(f"Changed {managed}.")


def _ask_to_lose(losses: list[str], managed: ManagedStack) -> None:
    """Ask whether to go on; without a terminal, the answer is no."""
    if not sys.stdin.isatty():
        raise StackError(
            f"This change of {managed} deletes {', '.join(losses)}; give --yes to do it."
        )
    click.confirm(f"Delete {', '.join(losses)}?", abort=True)


@contextlib.contextmanager
def _interruptible(sentence: str) -> Iterator[None]:
    """Say on Ctrl-C what happens to the work that nobody waits for any more."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(sentence, err=True)
        raise


def _delete(managed: ManagedStack, *, wait: bool, yes: bool) -> None:
    refuse_undeletable(managed)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {managed}, its images, its objects and its logs?", abort=True)
    with _interruptible(f"{_SEE_STATUS}; if it does not go away, delete it again."):
        show_progress(delete_stack(managed, wait=wait))
    if wait:
        console.print(
            f"Deleted {managed}. AWS keeps the roles of its own services and, for 180 days, "
            "inactive job definitions; neither costs anything."
        )
    else:
        console.print(f"Deleting {managed}; {_SEE_STATUS}.")
