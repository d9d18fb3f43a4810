"""The job definition of a main job, chosen by the image that the job is to run in.

Batch lets a job override the command, the environment and the resources of its definition, but not
the image. A stack has two definitions for main scripts: one with the image of the workers, one with
the image of its repository for main scripts. For any other image, a copy is registered for one
submission, and deregistered when its job has ended.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.batch import copy_with_image, image_of, latest_definition
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["Definition", "definition_for", "wanted_image"]

# A definition's name has at most 128 characters; a submission's id has 24.
_NAME_CHARACTERS: Final = 90


@dataclasses.dataclass(frozen=True)
class Definition:
    """A job definition to submit a job to.

    Attributes:
        arn: Its ARN.
        registered: Whether it was registered for this submission, and goes with it.
    """

    arn: str
    registered: bool


def wanted_image(batch: "BatchClient", stack: StackOutputs, image: str | None) -> str:
    """Return the full name of the image to run in.

    Args:
        batch: The client.
        stack: The stack.
        image: ``worker[:TAG]`` or ``main[:TAG]`` for an image of the stack's repositories, or any
            other image; None for the image of the workers.

    Raises:
        SubmissionError: The workers' job definition cannot be used.
        StackError: The stack has no such repository.
    """
    if image is None:
        definition = _latest(batch, stack.script_definition or stack.job_definition, stack)
        return str(definition["containerProperties"]["image"])
    kind, _, tag = image.partition(":")
    fields = {
        "worker": ("repository", stack.script_definition or stack.job_definition),
        "main": ("main_repository", stack.main_definition),
    }
    if kind not in fields:
        return image
    field, definition = fields[kind]
    stack.need(field)
    repository = getattr(stack, field)
    if tag in ("", "latest"):
        # The latest that was pushed is named by its digest.
        named = str(_latest(batch, definition, stack)["containerProperties"]["image"])
        if named.startswith(f"{repository}@"):
            return named
    return f"{repository}:{tag or 'latest'}"


def definition_for(
    batch: "BatchClient", stack: StackOutputs, image: str, identity: str
) -> Definition:
    """Return a definition for main scripts with an image; register one if the stack has none.

    Args:
        batch: The client.
        stack: The stack.
        image: The full name of the image.
        identity: The submission's id, which names a definition that is registered.

    Raises:
        SubmissionError: The stack's definitions cannot be used.
    """
    for name in filter(None, (stack.script_definition, stack.main_definition)):
        main = _latest(batch, name, stack)
        if main["containerProperties"]["image"] == image:
            return Definition(str(main["jobDefinitionArn"]), registered=False)
    copied = copy_with_image(main, image)
    copied["jobDefinitionName"] = f"{stack.main_definition[:_NAME_CHARACTERS]}-{identity}"
    answer = batch.register_job_definition(**copied)
    return Definition(answer["jobDefinitionArn"], registered=True)


def _latest(batch: "BatchClient", name: str, stack: StackOutputs) -> Any:
    latest = latest_definition(batch, name)
    if latest is None:
        raise SubmissionError(
            f"There is no active job definition {name}; modify {stack}, or delete it and create it "
            "again."
        )
    if not image_of(latest):
        raise SubmissionError(
            f"Job definition {name} does not have a single container; a script cannot be submitted "
            "to it."
        )
    return latest
