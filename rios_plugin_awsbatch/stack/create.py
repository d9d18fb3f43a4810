"""Creating the stack."""

from collections.abc import Iterator, Mapping
from typing import Final

from rios_plugin_awsbatch.errors import StackError

from .events import Event, newest_event
from .managed import ManagedStack
from .parameters import checked_parameters
from .refusals import refuse_creation
from .template import default_parameters, parameter_list, tag_list, template_text

__all__ = ["create_stack"]

# "<name>-run-<run id>-results" has at most 80 characters (aws/names.py).
_LONGEST_NAME: Final = 43


def create_stack(
    stack: ManagedStack, parameters: Mapping[str, str], tags: Mapping[str, str]
) -> Iterator[Event]:
    """Start to create the stack.

    Args:
        stack: The stack.
        parameters: Parameters of the template; those that are missing have their defaults.
        tags: The stack's tags.

    Returns:
        Its events until it exists. CloudFormation creates it whether they are read or not.

    Raises:
        StackError: The stack exists, or CloudFormation refuses to create it; while the events are
            read: a resource could not be created.
    """
    with stack.explained("create"):
        found = stack.find()
        if found is not None:
            refuse_creation(str(stack), found)
        template = template_text(tags)
        defaults = default_parameters(stack.cloudformation, template)
        given = checked_parameters(parameters, defaults)
        if {**defaults, **given}["ServiceName"] == defaults["ServiceName"]:
            _refuse_long_name(stack)
        if found is not None:
            _delete_empty(stack, found["StackId"])
        answer = stack.cloudformation.create_stack(
            StackName=stack.name,
            TemplateBody=template,
            Parameters=parameter_list(given),
            Tags=tag_list(tags),
            Capabilities=["CAPABILITY_IAM"],
            OnFailure="ROLLBACK",
        )
    return stack.follow(answer["StackId"], None, "created", "CREATE_COMPLETE")


def _refuse_long_name(stack: ManagedStack) -> None:
    """Refuse a stack whose runs could not call their queues after it."""
    if len(stack.name) > _LONGEST_NAME:
        raise StackError(
            f"The name of {stack} is too long for names of queues: give it up to {_LONGEST_NAME} "
            "characters, or give --servicename, a prefix for all names."
        )


def _delete_empty(stack: ManagedStack, stack_id: str) -> None:
    """Delete what a failed creation left, a stack without resources: it blocks the name."""
    newest = newest_event(stack.cloudformation, stack_id)
    stack.cloudformation.delete_stack(StackName=stack_id)
    for _ in stack.follow(stack_id, newest, "deleted", "DELETE_COMPLETE"):
        pass
