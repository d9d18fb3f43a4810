"""The options of ``rios-awsbatch stack``: where the stack is, and the template's parameters."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from rios_plugin_awsbatch.stack.template import template_text

__all__ = ["PARAMETERS", "ParameterOption", "requested", "template_defaults", "what", "where"]

ZONES: Final = 3
_UNCHANGED: Final = "unchanged"
Command = TypeVar("Command", bound=Callable[..., Any])

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_LOG_DAYS = [str(days) for days in (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)]
_COMPUTE = ["ec2", "spot", "fargate", "fargate-spot"]


@dataclasses.dataclass(frozen=True)
class ParameterOption:
    """An option that sets a parameter of the template.

    Attributes:
        names: The option's names.
        parameter: The parameter's name.
        type: The type of its value, for click.
        help: What it is.
        default: What the template's default means, if that is empty or 0; otherwise empty, and
            the template's default itself is shown.
    """

    names: tuple[str, ...]
    parameter: str
    type: Any
    help: str
    default: str = ""


def _of(name: str, parameter: str, kind: Any, text: str, default: str = "") -> ParameterOption:
    return ParameterOption((name,), parameter, kind, text, default)


PARAMETERS: Final = (
    _of("--ecrname", "ECRName", str, "Repository of worker images.", "from --servicename"),
    _of("--vcpus", "VCPUS", click.FloatRange(0.25), "vCPUs of a worker."),
    _of(
        "--mem",
        "MaxMemory",
        click.IntRange(4),
        "Memory of a worker in MiB; 3700 and 4000 mean 4096 on Fargate.",
    ),
    _of("--maxjobs", "MaxJobs", click.IntRange(1), "Workers at once, as in setNumThreads()."),
    _of(
        "--maxvcpus",
        "MaxVCPUS",
        click.IntRange(1),
        "vCPUs of the machines of all workers.",
        "enough for --maxjobs",
    ),
    _of(
        "--mainvcpus",
        "MainVCPUS",
        click.FloatRange(0),
        "vCPUs of a main script's job.",
        "0, as for a worker",
    ),
    _of(
        "--mainmem",
        "MainMemory",
        click.IntRange(0),
        "Memory of a main script's job in MiB.",
        "0, as for a worker",
    ),
    _of("--compute", "ComputeType", click.Choice(_COMPUTE), "Where jobs run."),
    ParameterOption(
        ("--fallback", "--no-fallback"),
        "Fallback",
        click.BOOL,
        "Start workers on demand when Spot has no machines.",
    ),
    _of(
        "--arch",
        "Architecture",
        click.Choice(["x86_64", "arm64"]),
        "Architecture of machines and images.",
    ),
    # RIOS's scripts call it --instancetype.
    ParameterOption(
        ("--instancetypes", "--instancetype"),
        "InstanceTypes",
        str,
        "EC2 instance types or families, separated by commas.",
        "Batch chooses",
    ),
    _of("--volumesize", "VolumeSize", click.IntRange(30, 16384), "Disk of an EC2 instance in GiB."),
    _of(
        "--mainvolumesize",
        "MainVolumeSize",
        click.IntRange(0, 16384),
        "Disk of an EC2 instance for main scripts in GiB.",
        "0, as --volumesize",
    ),
    _of(
        "--ephemeralstorage",
        "EphemeralStorage",
        click.IntRange(21, 200),
        "Disk of a Fargate job in GiB.",
    ),
    _of("--vpc", "VpcId", str, "Your own VPC, with --subnets.", "the stack makes one"),
    _of(
        "--subnets",
        "SubnetIds",
        str,
        "Subnets of --vpc, separated by commas.",
        "the stack makes them",
    ),
    _of(
        "--publicip",
        "AssignPublicIp",
        click.Choice(["ENABLED", "DISABLED"]),
        "Public addresses on Fargate.",
    ),
    _of(
        "--servicename",
        "ServiceName",
        str,
        "Prefix of the names of queues and the like.",
        "rios, or the name of a stack that is not called RIOS",
    ),
    _of(
        "--workerimage",
        "WorkerImage",
        str,
        "Image of workers.",
        "the latest in the stack's repository",
    ),
    _of(
        "--mainimage",
        "MainImage",
        str,
        "Image of the main job definition.",
        "the latest in the stack's repository for main scripts",
    ),
    _of(
        "--policy",
        "ExtraPolicyArn",
        str,
        "ARN of a policy that jobs get as well, to read your buckets for instance.",
        "none",
    ),
    _of(
        "--boundary",
        "PermissionsBoundary",
        str,
        "ARN of a policy that bounds what the stack's roles may do.",
        "none",
    ),
    _of(
        "--attempts",
        "Attempts",
        click.IntRange(1, 10),
        "How often a job is started that loses its machine.",
    ),
    _of(
        "--timeout",
        "JobTimeout",
        click.IntRange(60, 1209600),
        "Seconds after which Batch ends a job.",
    ),
    _of(
        "--rundays",
        "RunDays",
        click.IntRange(1),
        "Days after which the bucket deletes what runs left.",
    ),
    _of("--logdays", "LogDays", click.Choice(_LOG_DAYS), "Days for which logs are kept."),
)


def template_defaults() -> dict[str, str]:
    """Return the defaults of the template's parameters."""
    text = template_text()
    section = text.partition("\nParameters:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  (\w+):\n(?:    .*\n)*?    Default: (.*)$", section, re.MULTILINE)
    return {name: default.strip("'") for name, default in found}


def where(command: Command) -> Command:
    """Add the options that name the stack."""
    return _add(
        command,
        click.option(
            "--stackname",
            metavar="NAME",
            help="The stack.  [default: $RIOS_AWSBATCH_STACK, or RIOS]",
        ),
        click.option(
            "--region",
            metavar="REGION",
            help="Its AWS region.  [default: $RIOS_AWSBATCH_REGION, or that of the AWS session]",
        ),
    )


def what(*, new: bool) -> Callable[[Command], Command]:
    """Return a decorator that adds the options for what the stack is made of.

    Args:
        new: Whether the stack is created; otherwise, what is not given stays as it is.
    """
    defaults = template_defaults() if new else {}

    def default_of(one: ParameterOption) -> str:
        return (one.default or defaults[one.parameter]) if new else _UNCHANGED

    zones = f"the region's first {ZONES}" if new else _UNCHANGED
    tags = "RIOS,1" if new else _UNCHANGED
    options = [
        click.option(
            "--az",
            "zones",
            multiple=True,
            help=f"An availability zone; give it {ZONES} times.  [default: {zones}]",
        ),
        *(
            click.option(
                *(["/".join(one.names)] if one.type is click.BOOL else one.names),
                one.parameter,
                type=one.type,
                default=None,  # a flag's would be False
                help=f"{one.help}  [default: {default_of(one)}]",
            )
            for one in PARAMETERS
        ),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="KEY[,VALUE]",
            help=f"A tag of the stack and its resources; may be repeated.  [default: {tags}]",
        ),
    ]
    return lambda command: _add(command, *options)


def requested(
    *, zones: tuple[str, ...], tags: tuple[str, ...], **options: Any
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the template's parameters and the tags that options ask for.

    Raises:
        click.UsageError: The options make no sense.
    """
    if len(zones) not in (0, ZONES):
        raise click.UsageError(f"Give --az {ZONES} times, or not at all.")
    given = {name: _text(value) for name, value in options.items() if value is not None}
    pairs = [text.partition(",") for text in tags]
    if not all(key for key, _, _ in pairs):
        raise click.UsageError("A tag needs a key: --tag KEY or --tag KEY,VALUE.")
    numbered = {f"AZ{number}": zone for number, zone in enumerate(zones, 1)}
    return {**numbered, **given}, {key: value if comma else "1" for key, comma, value in pairs}


def _text(value: Any) -> str:
    """Return a value as the template's parameters take it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _add(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
