"""The stack that a command creates, changes, deletes or reports on.

::

    create ---------------> create_stack ---.
    modify: plan, apply --> change set -----+--> follow: one Event for each step of a resource;
    delete: Contents, ----> delete_stack ---'    StackError with the first cause if it fails
    report

What a function has done or seen, it yields or returns as records; the command line shows them.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import StackError

from .events import Event, events_after, first_cause, follow
from .lookup import find_stack
from .outputs import StackOutputs
from .records import Resource
from .refusals import advice_for

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

__all__ = ["ManagedStack"]

# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_POLL_SECONDS: Final = 5.0


class ManagedStack:
    """A stack that commands work on; it need not exist.

    Args:
        clients: The AWS clients, of the stack's region.
        name: The stack's name.
        poll_seconds: How often to ask while an operation is in progress.

    Attributes:
        clients: As given.
        name: As given.
        region: The region of the clients.
        poll_seconds: As given.

    Raises:
        StackError: No stack can have that name.
    """

    def __init__(self, clients: Clients, name: str, *, poll_seconds: float = _POLL_SECONDS) -> None:
        if not _NAME.fullmatch(name):
            raise StackError(
                f"A stack cannot be named {name!r}: give it up to 128 letters, digits and hyphens, "
                "beginning with a letter."
            )
        self.clients = clients
        self.name = name
        self.region = clients.region
        self.poll_seconds = poll_seconds

    def __str__(self) -> str:
        return str(StackOutputs(self.name, self.region))

    @property
    def cloudformation(self) -> "CloudFormationClient":
        """The client for CloudFormation."""
        return self.clients.cloudformation

    def explained(self, doing: str) -> contextlib.AbstractContextManager[None]:
        """Turn boto3's errors into a `StackError` that says what could not be done to the stack."""
        return explained(StackError, f"Cannot {doing} {self}")

    def find(self) -> "StackTypeDef | None":
        """Return CloudFormation's description of the stack; None if it does not exist."""
        return find_stack(self.clients, self.name)

    def existing(self) -> "StackTypeDef":
        """Return CloudFormation's description of the stack.

        Raises:
            StackError: It does not exist.
        """
        found = self.find()
        if found is None:
            raise StackError(
                f"There is no {self}; create it, or name another one with --stackname and --region."
            )
        return found

    def resources(self, stack_id: str) -> list[Resource]:
        """Return all resources that the stack has or had."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=stack_id
        )
        return [
            Resource(one["ResourceType"], one["PhysicalResourceId"], one["ResourceStatus"])
            for page in pages
            for one in page["StackResourceSummaries"]
            if one.get("PhysicalResourceId")
        ]

    def follow(self, stack_id: str, after: str | None, done: str, good: str) -> Iterator[Event]:
        """Yield the events of an operation until it ends.

        Args:
            stack_id: The stack's id; a deleted stack is not found by its name.
            after: The id of the newest event before the operation; None if there is none.
            done: What the operation does, as in "created".
            good: The status with which it succeeds.

        Raises:
            StackError: It ends with another status: what failed first, and why.
        """
        with self.explained("look at"):
            status = yield from follow(self.cloudformation, stack_id, after, self.poll_seconds)
            if status == good:
                return
            cause = first_cause(events_after(self.cloudformation, stack_id, after))
        advice = advice_for(status)
        raise StackError(
            f"The {self} was not {done}: {cause or 'CloudFormation gives no reason.'} "
            f"It is {status} now{advice and f': {advice}'}."
        )
