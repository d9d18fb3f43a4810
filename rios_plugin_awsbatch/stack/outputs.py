"""The outputs of a stack as one record, for runs, submissions and the image."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.aws.names import queue_prefix
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import Settings, load, region_of

from .lookup import find_stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

__all__ = [
    "RUNS_NEED",
    "StackOutputs",
    "getStackOutputs",
    "outputs_record",
    "queue_prefix_of",
    "read_outputs",
    "read_stack",
]

# Field of the record -> output of the template.
_OUTPUTS: Final = {
    "bucket": "BatchBucket",
    "job_queue": "BatchProcessingJobQueueName",
    "job_definition": "BatchProcessingJobDefinitionName",
    "max_jobs": "BatchMaxJobs",
    "main_queue": "BatchProcessingJobQueueNameMain",
    "main_definition": "BatchProcessingJobDefinitionMainName",
    "script_definition": "BatchProcessingJobDefinitionMainScriptName",
    "repository": "BatchECR",
    "main_repository": "BatchECRMain",
    "architecture": "BatchArchitecture",
    "queue_prefix": "BatchRunQueuePrefix",
}
# What a run cannot do without.
RUNS_NEED: Final = ("bucket", "job_queue", "job_definition", "max_jobs")
# Settings that replace the outputs of the same names.
_OVERRIDING: Final = ("bucket", "job_queue", "job_definition")


@dataclasses.dataclass(frozen=True)
class StackOutputs:
    """The outputs of a stack; those that it does not have are empty or None.

    RIOS's own template has fewer outputs.

    Attributes:
        name: The stack's name.
        region: Its region.
        bucket: Its bucket.
        job_queue: Name of its workers' job queue.
        job_definition: Name of its workers' job definition.
        max_jobs: How many workers run at once.
        main_queue: Name of the job queue of main scripts.
        main_definition: Name of the main job definition.
        script_definition: Name of the main job definition with the workers' image.
        repository: The repository of the workers' image, with its registry.
        main_repository: The repository of images of main scripts, likewise.
        architecture: ``x86_64`` or ``arm64``.
        queue_prefix: How the names of the queues of its runs begin.
    """

    name: str
    region: str
    bucket: str = ""
    job_queue: str = ""
    job_definition: str = ""
    max_jobs: int | None = None
    main_queue: str = ""
    main_definition: str = ""
    script_definition: str = ""
    repository: str = ""
    main_repository: str = ""
    architecture: str = ""
    queue_prefix: str = ""

    def __str__(self) -> str:
        return f"stack {self.name} in {self.region}"

    @property
    def queues(self) -> tuple[str, ...]:
        """The job queues: that of main scripts, and that of workers if it is a different one."""
        return tuple(dict.fromkeys(filter(None, (self.main_queue, self.job_queue))))

    def need(self, *fields: str) -> None:
        """Make sure that some fields are not empty.

        Raises:
            StackError: An output is missing.
        """
        missing = [_OUTPUTS[field] for field in fields if getattr(self, field) in (None, "")]
        if missing:
            raise StackError(
                f"The {self} has no output {', '.join(missing)}: it was not made from this "
                "package's template, or is still being created."
            )


def getStackOutputs() -> dict[str, str]:
    """Return the outputs of the stack that the environment names, as RIOS's own function did.

    Raises:
        StackError: No credentials, no such stack, or AWS cannot be reached.
        SettingsError: The environment has a value that cannot be used.
    """
    settings = load(Settings)
    return read_outputs(Clients(region_of(settings)), settings.stack)


def read_outputs(clients: Clients, stack: str) -> dict[str, str]:
    """Return the outputs of a stack by their names in the template.

    Raises:
        StackError: No credentials, no such stack, or AWS cannot be reached.
    """
    where = StackOutputs(stack, clients.region)
    with explained(StackError, f"Cannot read {where}"):
        found = find_stack(clients, stack)
    if found is None:
        raise StackError(
            f"There is no {where}; create it, or name another one in RIOS_AWSBATCH_STACK and "
            "RIOS_AWSBATCH_REGION."
        )
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def queue_prefix_of(found: "StackTypeDef", stack: str) -> str:
    """Return how the names of the queues of a stack's runs begin.

    Args:
        found: CloudFormation's description of the stack.
        stack: The stack's name.
    """
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    return outputs.get(_OUTPUTS["queue_prefix"]) or queue_prefix(stack)


def read_stack(clients: Clients, settings: Settings, *fields: str) -> StackOutputs:
    """Return the record of the stack that the settings name.

    Args:
        clients: The AWS clients, of the settings' region.
        settings: The settings; where they name a bucket, for instance, it replaces the output.
        fields: Fields of the record that may not be empty, `RUNS_NEED` for instance.

    Raises:
        StackError: No credentials, no such stack, AWS cannot be reached, or an output is missing
            or not a number.
    """
    stack = outputs_record(read_outputs(clients, settings.stack), settings)
    stack.need(*fields)
    return stack


def outputs_record(outputs: Mapping[str, str], settings: Settings) -> StackOutputs:
    """Return outputs as a record; settings replace the outputs of the same names.

    Raises:
        StackError: The number of jobs is not a number.
    """
    values: dict[str, Any] = {
        field: outputs[output] for field, output in _OUTPUTS.items() if output in outputs
    }
    given = {field: getattr(settings, field) for field in _OVERRIDING if getattr(settings, field)}
    if "max_jobs" in values:
        values["max_jobs"] = _number(values["max_jobs"], settings)
    values.setdefault("queue_prefix", queue_prefix(settings.stack))
    return StackOutputs(settings.stack, settings.region, **{**values, **given})


def _number(text: str, settings: Settings) -> int:
    if not text.isdecimal():
        where = StackOutputs(settings.stack, settings.region)
        raise StackError(f"Output {_OUTPUTS['max_jobs']} of {where} is {text!r}, not a number.")
    return int(text)
