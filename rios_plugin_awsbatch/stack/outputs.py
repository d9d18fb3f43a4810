"""What a stack offers to runs, to submissions and to the image: its outputs, as one record."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_stack, sentence_for
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import Settings, load

__all__ = [
    "RUNS_NEED",
    "StackOutputs",
    "getStackOutputs",
    "outputs_record",
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
}
# What a run cannot do without.
RUNS_NEED: Final = ("bucket", "job_queue", "job_definition", "max_jobs")
# Settings that go before the outputs of the same names.
_OVERRIDING: Final = ("bucket", "job_queue", "job_definition")


@dataclasses.dataclass(frozen=True)
class StackOutputs:
    """The outputs of a stack. RIOS's own template has fewer; what a stack lacks is empty or None.

    Attributes:
        name: The stack's name.
        region: Its region.
        bucket: Its bucket.
        job_queue: Name of its Batch job queue.
        job_definition: Name of its workers' job definition.
        max_jobs: How many jobs its compute environment runs at once.
        main_queue: Name of the job queue of main scripts.
        main_definition: Name of the main job definition.
        script_definition: Name of the main job definition with the image of the workers.
        repository: The repository of the workers' image, with its registry.
        main_repository: That of images of main scripts.
        architecture: ``x86_64`` or ``arm64``.
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

    def __str__(self) -> str:
        return f"stack {self.name} in {self.region}"

    @property
    def queues(self) -> tuple[str, ...]:
        """The job queues: that of main scripts, and that of workers if it is another one."""
        return tuple(dict.fromkeys(filter(None, (self.main_queue, self.job_queue))))

    def need(self, *fields: str) -> None:
        """Refuse to go on without some of the outputs.

        Raises:
            StackError: One is missing.
        """
        missing = [_OUTPUTS[field] for field in fields if getattr(self, field) in (None, "")]
        if missing:
            raise StackError(
                f"There is no output {', '.join(missing)} in {self}. It is not a stack of this "
                "package, or is still being created."
            )


def getStackOutputs() -> dict[str, str]:
    """Return the outputs of the stack that the environment names, as RIOS's own function did.

    Raises:
        StackError: No credentials, no such stack, or AWS cannot be reached.
        SettingsError: The environment holds a value that cannot be used.
    """
    settings = load(Settings)
    return read_outputs(Clients(settings.region), settings.stack)


def read_outputs(clients: Clients, stack: str) -> dict[str, str]:
    """Return the outputs of a stack by their names in the template.

    Raises:
        StackError: No credentials, no such stack, or AWS cannot be reached.
    """
    where = StackOutputs(stack, clients.region)
    try:
        described = clients.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except AWS_ERRORS as error:
        if is_missing_stack(error):
            raise StackError(
                f"There is no {where}; create it, or name another one in RIOS_AWSBATCH_STACK and "
                "RIOS_AWSBATCH_REGION."
            ) from None
        raise StackError(f"Cannot read {where}: {sentence_for(error)}") from error
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def read_stack(clients: Clients, settings: Settings, *fields: str) -> StackOutputs:
    """Return the record of the stack that `settings` name; their own values come first.

    Args:
        clients: The AWS clients, of the settings' region.
        settings: The settings.
        fields: Fields of the record that must be there, `RUNS_NEED` for instance.

    Raises:
        StackError: No credentials, no such stack, AWS cannot be reached, or an output is missing.
    """
    stack = outputs_record(read_outputs(clients, settings.stack), settings)
    stack.need(*fields)
    return stack


def outputs_record(outputs: Mapping[str, str], settings: Settings) -> StackOutputs:
    """Return `outputs` as a record, under what the settings say.

    Raises:
        StackError: The number of jobs is no number.
    """
    values: dict[str, Any] = {
        field: outputs[output] for field, output in _OUTPUTS.items() if output in outputs
    }
    given = {field: getattr(settings, field) for field in _OVERRIDING if getattr(settings, field)}
    if "max_jobs" in values:
        values["max_jobs"] = _number(values["max_jobs"], settings)
    return StackOutputs(settings.stack, settings.region, **{**values, **given})


def _number(text: str, settings: Settings) -> int:
    if not text.isdecimal():
        where = StackOutputs(settings.stack, settings.region)
        raise StackError(f"Output {_OUTPUTS['max_jobs']} of {where} is {text!r}, not a number.")
    return int(text)
