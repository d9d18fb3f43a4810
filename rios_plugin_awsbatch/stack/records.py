"""What a stack consists of, and what is done to it, as records."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = [
    "BUCKET",
    "COMPUTE_ENVIRONMENT",
    "JOB_DEFINITION",
    "JOB_QUEUE",
    "REPOSITORY",
    "SUBNET",
    "VPC",
    "Resource",
    "Step",
    "deleted",
    "named",
    "number_of",
]

# CloudFormation's names of resource types.
BUCKET: Final = "AWS::S3::Bucket"
COMPUTE_ENVIRONMENT: Final = "AWS::Batch::ComputeEnvironment"
JOB_DEFINITION: Final = "AWS::Batch::JobDefinition"
JOB_QUEUE: Final = "AWS::Batch::JobQueue"
REPOSITORY: Final = "AWS::ECR::Repository"
SUBNET: Final = "AWS::EC2::Subnet"
VPC: Final = "AWS::EC2::VPC"


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that was done or found.

    Attributes:
        text: What, in words.
    """

    text: str


@dataclasses.dataclass(frozen=True)
class Resource:
    """A resource of the stack.

    Attributes:
        kind: Its type.
        name: What AWS calls it: a name, an id or an ARN.
        status: The status of CloudFormation's latest operation on it.
    """

    kind: str
    name: str
    status: str

    @property
    def exists(self) -> bool:
        """Whether it has not been deleted."""
        return self.status != "DELETE_COMPLETE"


def named(resources: Sequence[Resource], kind: str) -> list[str]:
    """Return the names of the existing resources of a type."""
    return [one.name for one in resources if one.kind == kind and one.exists]


def number_of(count: int, one: str, many: str) -> str:
    """Return "1 job" or "2 jobs"."""
    return f"{count} {one if count == 1 else many}"


def deleted(count: int, one: str, many: str, where: str = "") -> Iterator[Step]:
    """Yield a step that says how many things were deleted, if there were any."""
    if count:
        yield Step(f"Deleted {number_of(count, one, many)}{where}")
