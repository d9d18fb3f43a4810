"""The commands on the stack: ``rios-awsbatch stack ...``, and the two scripts that RIOS's users know."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from rios_plugin_awsbatch.errors import AWSBatchException, StackError

if TYPE_CHECKING:
    from rios_plugin_awsbatch.stack.events import Event
    from rios_plugin_awsbatch.stack.managed import ManagedStack
    from rios_plugin_awsbatch.stack.plan import Plan
    from rios_plugin_awsbatch.stack.records import Step
    from rios_plugin_awsbatch.stack.report import StackReport

__all__ = ["createbatch", "deletebatch", "messages_only", "stack"]

ZONES = 3
_GOES_ON = "CloudFormation goes on; `rios-awsbatch stack status` says how far it is."
Command = TypeVar("Command", bound=Callable[..., Any])

_console = Console(highlight=False, soft_wrap=True)

# What CloudWatch knows: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_LOG_DAYS = [str(days) for days in (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)]
# Option, parameter of the template, type, help.
_OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    (
        "--ecrname",
        "ECRName",
        str,
        "Name of the repository of worker images; main's gets `main` appended.",
    ),
    ("--vcpus", "VCPUS", click.FloatRange(0.25), "vCPUs of a worker."),
    ("--mem", "MaxMemory", click.IntRange(4), "MiB of memory of a worker."),
    ("--maxjobs", "MaxJobs", click.IntRange(1), "Workers that run at once, as in setNumThreads()."),
    (
        "--maxvcpus",
        "MaxVCPUS",
        click.IntRange(1),
        "vCPUs of workers at once; enough for --maxjobs, if not given.",
    ),
    (
        "--mainvcpus",
        "MainVCPUS",
        click.FloatRange(0),
        "vCPUs of a main script as a job; a worker's, if 0.",
    ),
    (
        "--mainmem",
        "MainMemory",
        click.IntRange(0),
        "MiB of memory of a main script as a job; a worker's, if 0.",
    ),
    (
        "--compute",
        "ComputeType",
        click.Choice(["ec2", "spot", "fargate", "fargate-spot"]),
        "Where jobs run.",
    ),
    (
        "--arch",
        "Architecture",
        click.Choice(["x86_64", "arm64"]),
        "Architecture of machines and images.",
    ),
    (
        "--instancetypes",
        "InstanceTypes",
        str,
        "EC2 instance types or families, with commas between.",
    ),
    ("--volumesize", "VolumeSize", click.IntRange(30, 16384), "GiB of disk of an EC2 instance."),
    (
        "--mainvolumesize",
        "MainVolumeSize",
        click.IntRange(0, 16384),
        "GiB of disk of an EC2 instance for main scripts; --volumesize, if 0.",
    ),
    (
        "--ephemeralstorage",
        "EphemeralStorage",
        click.IntRange(21, 200),
        "GiB of disk of a job on Fargate.",
    ),
    ("--vpc", "VpcId", str, "A VPC of yours, with --subnets."),
    ("--subnets", "SubnetIds", str, "Subnets of that VPC, with commas between."),
    (
        "--publicip",
        "AssignPublicIp",
        click.Choice(["ENABLED", "DISABLED"]),
        "Public addresses on Fargate.",
    ),
    (
        "--servicename",
        "ServiceName",
        str,
        "Prefix of names, if not `rios` (stack RIOS) or the stack's name.",
    ),
    (
        "--workerimage",
        "WorkerImage",
        str,
        "Image of workers, if not the latest in the stack's repository.",
    ),
    ("--mainimage", "MainImage", str, "Image of the main job definition, likewise."),
    (
        "--policy",
        "ExtraPolicyArn",
        str,
        "ARN of a policy for jobs, to read buckets of yours for instance.",
    ),
    ("--attempts", "Attempts", click.IntRange(1, 10), "Starts of a job that loses its machine."),
    (
        "--timeout",
        "JobTimeout",
        click.IntRange(60, 1209600),
        "Seconds after which Batch ends a job.",
    ),
    (
        "--rundays",
        "RunDays",
        click.IntRange(1),
        "Days after which the bucket drops what runs left.",
    ),
    ("--logdays", "LogDays", click.Choice(_LOG_DAYS), "Days for which logs are kept."),
)


# What RIOS's scripts call them.
_ALIASES = {"--instancetypes": ("--instancetype",)}


def _add(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def _where(command: Command) -> Command:
    return _add(
        command,
        click.option("--stackname", help="The stack.  [default: RIOS_AWSBATCH_STACK, or RIOS]"),
        click.option(
            "--region", help="Its AWS region.  [default: RIOS_AWSBATCH_REGION, or ap-southeast-2]"
        ),
    )


def _what(command: Command) -> Command:
    zones = f"An availability zone; give {ZONES}.  [default: the region's first {ZONES}]"
    return _add(
        command,
        click.option("--az", "zones", multiple=True, help=zones),
        *(
            click.option(option, *_ALIASES.get(option, ()), parameter, type=kind, help=text)
            for option, parameter, kind, text in _OPTIONS
        ),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="KEY[,VALUE]",
            help="Tag of the stack, which its resources take over where they can; may be repeated.",
        ),
    )


_wait = click.option(
    "--wait", is_flag=True, help="Look on, and show what happens, until it is done."
)
_yes = click.option("--yes", is_flag=True, help="Do not ask before images or objects are deleted.")
_dont_ask = click.option(
    "--yes", is_flag=True, help="Do not ask; nobody is asked without a terminal."
)


@click.group()
def stack() -> None:
    """Create, modify and delete the stack; say how it is."""


@stack.command()
@_where
@_what
@_wait
def create(stackname: str | None, region: str | None, *, wait: bool, **what: Any) -> None:
    """Create the stack: everything in AWS that runs need, at no cost while nothing runs."""
    _create(_managed(stackname, region), what, wait=wait)


@stack.command()
@_where
@_what
@_wait
@_yes
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def modify(
    stackname: str | None, region: str | None, *, wait: bool, yes: bool, dry_run: bool, **what: Any
) -> None:
    """Modify the stack: what is given changes, all else stays; jobs that run go on."""
    _modify(_managed(stackname, region), what, wait=wait, yes=yes, dry_run=dry_run)


@stack.command()
@_where
@_wait
@_dont_ask
def delete(stackname: str | None, region: str | None, *, wait: bool, yes: bool) -> None:
    """Delete the stack with all that is in it: jobs, images, objects, logs."""
    _delete(_managed(stackname, region), wait=wait, yes=yes)


@stack.command()
@_where
def status(stackname: str | None, region: str | None) -> None:
    """Say how the stack is: what it is made of, what runs on it, what may be wrong."""
    from rios_plugin_awsbatch.stack.report import report_on  # noqa: PLC0415 - as cli's docstring says

    managed = _managed(stackname, region)
    _show_report(managed, report_on(managed))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@_where
@_what
@_wait
@_yes
@click.option("--modify", is_flag=True, help="Modify the stack, which exists.")
def createbatch(
    stackname: str | None, region: str | None, *, wait: bool, yes: bool, modify: bool, **what: Any
) -> None:
    """Create the CloudFormation stack for RIOS on AWS Batch, or modify it."""
    managed = _managed(stackname, region)
    if modify:
        _modify(managed, what, wait=wait, yes=yes, dry_run=False)
    else:
        _create(managed, what, wait=wait)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@_where
@_wait
@_dont_ask
def deletebatch(stackname: str | None, region: str | None, *, wait: bool, yes: bool) -> None:
    """Delete the CloudFormation stack for RIOS on AWS Batch, with all that is in it."""
    _delete(_managed(stackname, region), wait=wait, yes=yes)


@contextlib.contextmanager
def messages_only(program: str) -> Iterator[None]:
    """End the program with one sentence for a user's mistake; a bug is a traceback.

    Args:
        program: The name to begin the sentence with.
    """
    try:
        yield
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AWSBatchException as error:
        if error.__cause__ is not None and logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        sys.exit(f"{program}: {error}")


def _managed(name: str | None, region: str | None) -> "ManagedStack":
    from rios_plugin_awsbatch.aws.clients import Clients  # noqa: PLC0415 - as cli's docstring says
    from rios_plugin_awsbatch.aws.errors import explained  # noqa: PLC0415
    from rios_plugin_awsbatch.settings import Settings, load  # noqa: PLC0415
    from rios_plugin_awsbatch.stack.managed import ManagedStack  # noqa: PLC0415
    from rios_plugin_awsbatch.stack.outputs import StackOutputs  # noqa: PLC0415

    given = {"stack": name, "region": region}
    settings = load(
        Settings, **{setting: value for setting, value in given.items() if value is not None}
    )
    with explained(StackError, f"Cannot use {StackOutputs(settings.stack, settings.region)}"):
        clients = Clients(settings.region)
    return ManagedStack(clients, settings.stack)


def _parameters(
    *, zones: tuple[str, ...], tags: tuple[str, ...], **options: Any
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters and the tags that options ask for."""
    if len(zones) not in (0, ZONES):
        raise click.UsageError(f"Give --az {ZONES} times, or not at all.")
    given = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in options.items()
        if value is not None
    }
    pairs = [text.partition(",") for text in tags]
    if not all(key for key, _, _ in pairs):
        raise click.UsageError("A tag has a key before its comma: --tag KEY or --tag KEY,VALUE.")
    tagged = {key: value if comma else "1" for key, comma, value in pairs}
    return {**{f"AZ{number}": zone for number, zone in enumerate(zones, 1)}, **given}, tagged


def _create(managed: "ManagedStack", what: dict[str, Any], *, wait: bool) -> None:
    from rios_plugin_awsbatch.stack.create import create_stack  # noqa: PLC0415 - as cli's docstring says

    parameters, tags = _parameters(**what)
    events = create_stack(managed, parameters, tags or {"RIOS": "1"})
    if not wait:
        _console.print(f"Creating {managed}; `rios-awsbatch stack status` says how far it is.")
        return
    with _interruptible(_GOES_ON):
        _show(events)
    _console.print(f"Created {managed}. Next: its image, `rios-awsbatch image build` and `push`.")


def _modify(
    managed: "ManagedStack", what: dict[str, Any], *, wait: bool, yes: bool, dry_run: bool
) -> None:
    from rios_plugin_awsbatch.stack.modify import (  # noqa: PLC0415 - as cli's docstring says
        apply_plan,
        discard_plan,
        plan_change,
    )

    plan = plan_change(managed, *_parameters(**what))
    if plan.change_set is None:
        _console.print(f"Nothing to change: {managed} is as asked for.")
        return
    _show_plan(plan)
    with contextlib.ExitStack() as undo:
        undo.callback(discard_plan, managed, plan)
        if dry_run:
            return
        if plan.losses and not yes:
            _ask_to_lose(plan.losses, managed)
        undo.pop_all()
    events = apply_plan(managed, plan)
    if not wait:
        _console.print(f"Changing {managed}; `rios-awsbatch stack status` says how far it is.")
        return
    with _interruptible(_GOES_ON):
        _show(events)
    _console.print(f"Changed {managed}.")


def _ask_to_lose(losses: list[str], managed: "ManagedStack") -> None:
    """Ask whether to go on; where nobody can be asked, do not."""
    if not sys.stdin.isatty():
        raise StackError(
            f"This change of {managed} deletes {', '.join(losses)}; give --yes if that is what you want."
        )
    click.confirm(f"Delete {', '.join(losses)}?", abort=True)


@contextlib.contextmanager
def _interruptible(sentence: str) -> Iterator[None]:
    """Say on Ctrl-C what becomes of what is no longer looked at."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(sentence, err=True)
        raise


def _delete(managed: "ManagedStack", *, wait: bool, yes: bool) -> None:
    from rios_plugin_awsbatch.stack.delete import delete_stack, refuse_undeletable  # noqa: PLC0415 - as cli's docstring says

    refuse_undeletable(managed)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {managed}, its images, its objects and its logs?", abort=True)
    with _interruptible(
        "`rios-awsbatch stack status` says how far it is; delete it again if it does not go."
    ):
        _show(delete_stack(managed, wait=wait))
    if wait:
        _console.print(
            f"Deleted {managed}. AWS keeps the roles of its own services and, for 180 days, job definitions that are "
            "inactive; neither costs anything."
        )
    else:
        _console.print(f"Deleting {managed}; `rios-awsbatch stack status` says how far it is.")


def _show(records: "Iterable[Event | Step]") -> None:
    """Print what is done, and say meanwhile what is going on."""
    from rios_plugin_awsbatch.stack.records import Step  # noqa: PLC0415 - as cli's docstring says

    under_way: dict[str, str] = {}
    done = 0
    with _console.status("Waiting for CloudFormation") as spinner:
        for record in records:
            if isinstance(record, Step):
                _console.print(record.text, markup=False)
                continue
            under_way.pop(record.resource, None)
            if record.status.endswith("_IN_PROGRESS"):
                under_way[record.resource] = record.status
            else:
                done += not record.kind.endswith("::Stack")
                reason = f": {record.reason}" if record.reason else ""
                line = f"{record.time:%H:%M:%S} {record.status:<16} {record.resource} ({record.kind}){reason}"
                _console.print(line, style="red" if record.failed else None, markup=False)
            spinner.update(f"{done} resources done; under way: {', '.join(under_way) or 'nothing'}")


def _show_plan(plan: "Plan") -> None:
    for change in plan.changes:
        how = " by another one" if change.replaced else ""
        _console.print(f"{change.action} {change.resource} ({change.kind}){how}", markup=False)
    if not plan.changes:
        _console.print("Only tags change.")
    for loss in plan.losses:
        _console.print(f"This deletes {loss}.", markup=False)


def _show_report(managed: "ManagedStack", report: "StackReport") -> None:
    jobs = ", ".join(f"{count} {status}" for status, count in report.jobs.items() if count)
    rows = {"status": report.status, "cause": report.cause}
    rows |= {f"compute environment {name}": said for name, said in report.environments.items()}
    if report.environments:
        rows |= {"jobs": jobs or "none", "runs": str(report.runs)}
    for repository, pushed in report.images.items():
        rows[f"images of {repository}"] = f"latest of {pushed:%c}" if pushed else "none: push one"
    rows |= {f"parameter {name}": value for name, value in sorted(report.parameters.items())}
    rows |= {f"output {name}": value for name, value in sorted(report.outputs.items())}
    _console.print(str(managed), style="bold")
    for name, value in rows.items():
        if value:
            _console.print(f"{name}: {value}", markup=False)
