"""Changing the stack: first a plan, which is a change set, then its execution."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import StackError

from .definitions import deregister_renamed
from .events import Event, newest_event, undeleted
from .jobs import unfinished_jobs
from .managed import ManagedStack
from .objects import delete_objects
from .parameters import checked_parameters
from .plan import Change, Plan, read_changes
from .records import (
    BUCKET,
    COMPUTE_ENVIRONMENT,
    JOB_QUEUE,
    REPOSITORY,
    SUBNET,
    VPC,
    Resource,
    Step,
    number_of,
)
from .refusals import refuse_modification
from .template import default_parameters, parameter_list, tag_list, template_text

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

__all__ = ["apply_plan", "discard_plan", "plan_change"]

# Jobs that run or wait are lost without these.
_JOBS_NEED: Final = {COMPUTE_ENVIRONMENT, JOB_QUEUE, BUCKET, REPOSITORY, VPC, SUBNET}


def plan_change(
    stack: ManagedStack, parameters: Mapping[str, str], tags: Mapping[str, str]
) -> Plan:
    """Find out what a change would do.

    Args:
        stack: The stack.
        parameters: Parameters to set; the others keep their values.
        tags: Tags to add or to change.

    Raises:
        StackError: The stack does not exist, or cannot be changed now or in this way; or the change
            would delete what unfinished jobs need.
    """
    with stack.explained("change"):
        found = stack.existing()
        refuse_modification(str(stack), found)
        all_tags = {**{tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}, **tags}
        template = template_text(all_tags)
        new_tags: Any = {"Tags": tag_list(all_tags)} if tags else {}  # none keeps the old ones
        now = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}
        defaults = default_parameters(stack.cloudformation, template)
        before = {**defaults, **{key: now[key] for key in now if key in defaults}}
        _refuse_other_platform(stack, before, parameters)
        given = checked_parameters(parameters, before)
        kept: list[ParameterTypeDef] = [
            {"ParameterKey": key, "UsePreviousValue": True}
            for key in now
            if key in defaults and key not in given
        ]
        change_set = stack.cloudformation.create_change_set(
            StackName=stack.name,
            ChangeSetName=f"rios-awsbatch-{time.time_ns()}",
            ChangeSetType="UPDATE",
            TemplateBody=template,
            Parameters=[*parameter_list(given), *kept],
            Capabilities=["CAPABILITY_IAM"],
            **new_tags,
        )["Id"]
        fargate = {**before, **given}["ComputeType"].startswith("fargate")
        with _discarded_on_error(stack, change_set):
            plan = _read_plan(stack, change_set, fargate=fargate)
            _refuse_harm(stack, plan, found["StackId"])
        return plan


def _refuse_other_platform(
    stack: ManagedStack, before: Mapping[str, str], given: Mapping[str, str]
) -> None:
    """Refuse to change between EC2 and Fargate.

    A job queue is for one of them. Its type is fixed when it is created, and UpdateJobQueue does
    not take it:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-batch-jobqueue.html
    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html
    """
    was, wanted = (
        "Fargate" if parameters["ComputeType"].startswith("fargate") else "EC2"
        for parameters in (before, {**before, **given})
    )
    if was != wanted:
        raise StackError(
            f"The jobs of {stack} run on {was} and cannot move to {wanted}, as AWS makes a job "
            "queue for one of them: create another stack, or delete this one and create it again."
        )


def _read_plan(stack: ManagedStack, change_set: str, *, fargate: bool) -> Plan:
    """Wait until a change set has been created, and return what it does."""
    patience = Patience()
    while True:
        answer = patience.call(
            lambda: stack.cloudformation.describe_change_set(ChangeSetName=change_set)
        )
        if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        time.sleep(stack.poll_seconds)
    if answer["Status"] == "CREATE_COMPLETE":
        changes = read_changes(stack.cloudformation, change_set, fargate=fargate)
        return Plan(changes, change_set)
    reason = answer.get("StatusReason", f"its change set is {answer['Status']}")
    if not _is_without_changes(reason):
        raise StackError(f"Cannot change {stack}: {reason}")
    stack.cloudformation.delete_change_set(ChangeSetName=change_set)
    return Plan((), None)


def _is_without_changes(reason: str) -> bool:
    """Say whether a change set failed only because nothing changes.

    CloudFormation gives no code for that, only one of these sentences; the AWS CLI goes by them
    too (`aws cloudformation deploy`, awscli/customizations/cloudformation/deployer.py).
    """
    return any(
        words in reason for words in ("didn't contain changes", "No updates are to be performed")
    )


def _refuse_harm(stack: ManagedStack, plan: Plan, stack_id: str) -> None:
    """Refuse a plan that cannot succeed, or that deletes what unfinished jobs need."""
    replaced = {change.kind for change in plan.changes if change.replaced}
    if SUBNET in replaced and VPC not in replaced:
        # The new subnets would overlap the old ones, which go last.
        raise StackError(
            f"The zones of {stack} cannot be changed: delete it, and create it with --az."
        )
    needed = [
        change.resource for change in plan.changes if change.deletes and change.kind in _JOBS_NEED
    ]
    if not needed:
        return
    jobs = len(unfinished_jobs(stack.clients.batch, stack.resources(stack_id)))
    if jobs:
        raise StackError(
            f"This change deletes or replaces {', '.join(needed)}, and "
            f"{number_of(jobs, 'job', 'jobs')} of {stack} would be lost: wait until all have "
            "ended, or end them with `rios-awsbatch cancel`."
        )


def apply_plan(stack: ManagedStack, plan: Plan) -> Iterator[Step | Event]:
    """Start to change the stack as planned.

    CloudFormation cannot delete a bucket with objects in it, so a bucket that goes is emptied
    first.

    Returns:
        What was deleted, then the stack's events until it has changed, then what CloudFormation
        could not delete. CloudFormation changes the stack whether they are read or not.

    Raises:
        StackError: As `plan_change`; while the events are read: a resource could not be changed.
    """
    if plan.change_set is None:
        return iter(())
    with stack.explained("change"):
        stack_id = stack.existing()["StackId"]
        with _discarded_on_error(stack, plan.change_set):
            _refuse_harm(stack, plan, stack_id)  # jobs may have been submitted since
            steps = [
                step
                for bucket in _buckets_to_delete(plan.changes)
                for step in delete_objects(stack.clients.s3, bucket)
            ]
            before = stack.resources(stack_id)
            newest = newest_event(stack.cloudformation, stack_id)
            stack.cloudformation.execute_change_set(ChangeSetName=plan.change_set)
    return itertools.chain(steps, _changing(stack, stack_id, newest, before))


def _buckets_to_delete(changes: Sequence[Change]) -> list[str]:
    return [change.name for change in changes if change.deletes and change.kind == BUCKET]


def _changing(
    stack: ManagedStack, stack_id: str, newest: str | None, before: Sequence[Resource]
) -> Iterator[Step | Event]:
    seen: list[Event] = []
    for event in stack.follow(stack_id, newest, "changed", "UPDATE_COMPLETE"):
        seen.append(event)
        yield event
    with stack.explained("tidy up"):
        yield from deregister_renamed(stack.clients.batch, before, stack.resources(stack_id))
    for event in undeleted(seen):
        yield Step(f"Left, and yours to delete: {event.kind} {event.name}. {event.reason}")


def discard_plan(stack: ManagedStack, plan: Plan) -> None:
    """Delete the change set of a plan that is not to be applied.

    Raises:
        StackError: It cannot be deleted.
    """
    if plan.change_set is not None:
        with stack.explained("change"):
            stack.cloudformation.delete_change_set(ChangeSetName=plan.change_set)


@contextlib.contextmanager
def _discarded_on_error(stack: ManagedStack, change_set: str) -> Iterator[None]:
    with contextlib.ExitStack() as undo:
        undo.callback(stack.cloudformation.delete_change_set, ChangeSetName=change_set)
        yield
        undo.pop_all()
