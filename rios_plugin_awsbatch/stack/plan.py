"""What a change of the stack would do, before it is made."""

import dataclasses
from typing import TYPE_CHECKING, Final

from .records import BUCKET, COMPUTE_ENVIRONMENT, REPOSITORY

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ResourceChangeTypeDef

__all__ = ["Change", "Plan", "read_changes"]

_CONTENTS: Final = {
    BUCKET: "bucket {} with all its objects",
    REPOSITORY: "repository {} with all its images",
}


@dataclasses.dataclass(frozen=True)
class Change:
    """What a change set does to one resource.

    Attributes:
        action: Add, Modify or Remove.
        resource: Its name in the template.
        kind: Its type.
        name: What AWS calls it; empty if it does not exist yet.
        replaced: Whether a new resource replaces it, or may replace it.
    """

    action: str
    resource: str
    kind: str
    name: str
    replaced: bool

    @property
    def deletes(self) -> bool:
        """Whether the existing resource is deleted."""
        return self.action == "Remove" or self.replaced


@dataclasses.dataclass(frozen=True)
class Plan:
    """A change set that has been created and not executed.

    Attributes:
        changes: What it does.
        change_set: Its ARN; None if there is nothing to change.
    """

    changes: tuple[Change, ...]
    change_set: str | None

    @property
    def losses(self) -> list[str]:
        """What it deletes for good, in words."""
        return [
            _CONTENTS[one.kind].format(one.name)
            for one in self.changes
            if one.deletes and one.kind in _CONTENTS
        ]


def read_changes(
    cloudformation: "CloudFormationClient", change_set: str, *, fargate: bool
) -> tuple[Change, ...]:
    """Return what a change set does.

    Args:
        cloudformation: The client.
        change_set: Its ARN.
        fargate: Whether the stack's jobs run on Fargate.
    """
    pages = cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
    return tuple(
        _change(one["ResourceChange"], fargate=fargate)
        for page in pages
        for one in page.get("Changes", [])
    )


def _change(found: "ResourceChangeTypeDef", *, fargate: bool) -> Change:
    kind, replacement = found["ResourceType"], found.get("Replacement")
    # "Conditional" means that it may be replaced. Compute environments on EC2 never are: the
    # template has them updated in place.
    may_be = replacement == "Conditional" and (fargate or kind != COMPUTE_ENVIRONMENT)
    return Change(
        action=found["Action"],
        resource=found["LogicalResourceId"],
        kind=kind,
        name=found.get("PhysicalResourceId", ""),
        replaced=replacement == "True" or may_be,
    )
