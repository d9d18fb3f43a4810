"""Deleting the stack with all that is in it."""

from collections.abc import Iterator
from typing import Final

from rios_plugin_awsbatch.errors import StackError

from .contents import Contents
from .events import Event, newest_event
from .managed import ManagedStack
from .outputs import queue_prefix_of
from .records import Step
from .refusals import refuse_deletion

__all__ = ["delete_stack", "refuse_undeletable"]

# A main script that still runs may write again what was deleted.
_ATTEMPTS: Final = 2


def delete_stack(stack: ManagedStack, *, wait: bool = True) -> Iterator[Step | Event]:
    """Delete the stack and all that is in it, while the caller reads what is yielded.

    Args:
        stack: The stack.
        wait: Go on until the stack is gone, and say what is left; otherwise stop as soon as
            CloudFormation has begun.

    Raises:
        StackError: The stack does not exist or may not be deleted: then nothing is deleted. Or
            something could not be deleted: what, and why.
    """
    with stack.explained("delete"):
        stack_id = refuse_undeletable(stack)
        before = stack.resources(stack_id)
        prefix = queue_prefix_of(stack.existing(), stack.name)
        contents = Contents(stack.clients, stack.name, prefix, stack.poll_seconds)
        for attempt in range(1, _ATTEMPTS + 1):
            yield from contents.delete(stack.resources(stack_id))
            newest = newest_event(stack.cloudformation, stack_id)
            stack.cloudformation.delete_stack(StackName=stack_id)
            if not wait:
                return
            try:
                yield from stack.follow(stack_id, newest, "deleted", "DELETE_COMPLETE")
            except StackError as error:
                if attempt == _ATTEMPTS:
                    raise StackError(f"{error} Left: {_left(stack, stack_id)}.") from None
                yield Step(f"Trying again: {error}")
            else:
                break
        yield from contents.delete_beside(before)
        left = _left(stack, stack_id)
        yield Step(f"Left, because the template says so: {left}" if left else "Nothing is left")


def refuse_undeletable(stack: ManagedStack) -> str:
    """Return the stack's id, if the stack may be deleted.

    Raises:
        StackError: It does not exist, or may not be deleted.
    """
    with stack.explained("delete"):
        found = stack.existing()
        refuse_deletion(str(stack), found)
        return found["StackId"]


def _left(stack: ManagedStack, stack_id: str) -> str:
    return ", ".join(f"{one.kind} {one.name}" for one in stack.resources(stack_id) if one.exists)
