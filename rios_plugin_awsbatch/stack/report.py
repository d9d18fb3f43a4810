"""What state a stack is in."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rios_plugin_awsbatch.aws.names import name_of

from .events import events_after, first_cause, latest_operation
from .images import latest_images
from .jobs import unfinished_jobs
from .managed import ManagedStack
from .objects import count_runs
from .records import COMPUTE_ENVIRONMENT, Resource, named

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["StackReport", "report_on"]

_HEALTHY: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"}


@dataclasses.dataclass(frozen=True)
class StackReport:
    """What state a stack is in.

    Attributes:
        status: CloudFormation's status of it.
        cause: Why, if something failed.
        parameters: All of its parameters.
        outputs: All of its outputs.
        environments: What Batch says about each compute environment.
        jobs: How many jobs are in each state, of those that have not ended.
        images: For each repository, when its latest image was pushed; None if it has none.
        runs: How many runs have objects in the bucket.
    """

    status: str
    cause: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    environments: Mapping[str, str]
    jobs: Mapping[str, int]
    images: Mapping[str, dt.datetime | None]
    runs: int


def report_on(stack: ManagedStack) -> StackReport:
    """Find out what state a stack is in.

    Raises:
        StackError: It does not exist, or AWS cannot be asked.
    """
    with stack.explained("look at"):
        found = stack.existing()
        stack_id, status = found["StackId"], found["StackStatus"]
        resources = stack.resources(stack_id)
        jobs = unfinished_jobs(stack.clients.batch, resources)
        return StackReport(
            status=status,
            cause=_cause(stack, stack_id, status) or found.get("StackStatusReason", ""),
            parameters={
                one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])
            },
            outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
            environments=_environments(stack.clients.batch, resources),
            jobs=collections.Counter(jobs.values()),
            images=latest_images(stack.clients.ecr(), resources),
            runs=count_runs(stack.clients.s3, resources),
        )


def _cause(stack: ManagedStack, stack_id: str, status: str) -> str:
    """Return what failed first in the latest operation; empty if nothing did."""
    if status in _HEALTHY:
        return ""
    return first_cause(latest_operation(events_after(stack.cloudformation, stack_id, None)))


def _environments(batch: "BatchClient", resources: Sequence[Resource]) -> dict[str, str]:
    arns = named(resources, COMPUTE_ENVIRONMENT)
    if not arns:  # with an empty list Batch would describe those of the whole account
        return {}
    answer = batch.describe_compute_environments(computeEnvironments=arns)
    states = {
        one["computeEnvironmentArn"]: (
            f"{one.get('state')}, {one.get('status')}: {one.get('statusReason', 'no reason given')}"
        )
        for one in answer["computeEnvironments"]
    }
    return {name_of(arn): states.get(arn, "gone") for arn in arns}
