"""The CloudFormation stack: what it offers to a run."""

import dataclasses
from collections.abc import Iterable, Mapping

import boto3

from .awserrors import AWS_ERRORS, sentence_for
from .errors import StackError
from .settings import Settings, load

__all__ = ["StackOutputs", "getStackOutputs", "needed", "overridden", "read_outputs", "typed_outputs"]


@dataclasses.dataclass(frozen=True)
class StackOutputs:
    """What a run needs of the stack's outputs.

    Attributes:
        stack: The stack's name.
        bucket: Its bucket.
        job_queue: Name of its Batch job queue.
        job_definition: Name of its workers' job definition.
        max_jobs: How many jobs its compute environment runs at once.
    """

    stack: str
    bucket: str
    job_queue: str
    job_definition: str
    max_jobs: int


_NEEDED = {
    "bucket": "BatchBucket",
    "job_queue": "BatchProcessingJobQueueName",
    "job_definition": "BatchProcessingJobDefinitionName",
    "max_jobs": "BatchMaxJobs",
}


def getStackOutputs() -> dict[str, str]:
    """Return the outputs of the stack that the environment names, as RIOS's own function of that name did.

    Raises:
        StackError: No credentials, no such stack, or AWS cannot be reached.
        SettingsError: The environment holds a value that cannot be used.
    """
    return read_outputs(load(Settings))


def read_outputs(settings: Settings) -> dict[str, str]:
    """Return the outputs of the stack that `settings` name.

    Raises:
        StackError: No credentials, no such stack, or AWS cannot be reached.
    """
    where = f"stack {settings.stack} in {settings.region}"
    try:
        client = boto3.client("cloudformation", region_name=settings.region)
        described = client.describe_stacks(StackName=settings.stack)["Stacks"][0]
    except AWS_ERRORS as error:
        if "does not exist" in str(error):  # the code is that of any mistake
            raise StackError(
                f"There is no {where}; create it, or name another one in RIOS_AWSBATCH_STACK and RIOS_AWSBATCH_REGION."
            ) from None
        raise StackError(f"Cannot read {where}: {sentence_for(error)}") from error
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def overridden(outputs: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return `outputs` with what the settings say in their place."""
    settled = {
        "BatchBucket": settings.bucket,
        "BatchProcessingJobQueueName": settings.job_queue,
        "BatchProcessingJobDefinitionName": settings.job_definition,
    }
    return {**outputs, **{name: value for name, value in settled.items() if value}}


def needed(outputs: Mapping[str, str], names: Iterable[str], settings: Settings) -> tuple[str, ...]:
    """Return the outputs of these names.

    Raises:
        StackError: One is missing.
    """
    names = tuple(names)
    missing = [name for name in names if not outputs.get(name)]
    if missing:
        raise StackError(
            f"Stack {settings.stack} in {settings.region} has no output {', '.join(missing)}; it is not a stack of "
            "this package, or is still being created."
        )
    return tuple(outputs[name] for name in names)


def typed_outputs(outputs: Mapping[str, str], settings: Settings) -> StackOutputs:
    """Return `outputs` as a record.

    Raises:
        StackError: An output is missing or no number.
    """
    given = overridden(outputs, settings)
    values = dict(zip(_NEEDED, needed(given, _NEEDED.values(), settings), strict=True))
    if not values["max_jobs"].isdecimal():
        raise StackError(f"Output BatchMaxJobs of stack {settings.stack} is {values['max_jobs']!r}, not a number.")
    return StackOutputs(
        settings.stack, values["bucket"], values["job_queue"], values["job_definition"], int(values["max_jobs"])
    )
