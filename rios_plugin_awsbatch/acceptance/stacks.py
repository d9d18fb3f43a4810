"""Promises about a stack, tried with one of its own that is deleted again."""

import functools
from collections.abc import Iterator
from typing import Any, Final

from rios_plugin_awsbatch.aws.batch import copy_with_image, latest_definition, reason_of
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.create import create_stack
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.managed import ManagedStack
from rios_plugin_awsbatch.stack.modify import apply_plan, plan_change
from rios_plugin_awsbatch.stack.outputs import StackOutputs, outputs_record, read_outputs
from rios_plugin_awsbatch.stack.records import COMPUTE_ENVIRONMENT

from .records import NotShownError, Observed, Promise
from .site import Site

__all__ = ["PROMISES"]

_TEMPLATES: Final = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference"
_GUIDE: Final = "https://docs.aws.amazon.com/batch/latest/userguide"
_PUBLIC_IMAGE: Final = "public.ecr.aws/docker/library/busybox:stable"
_SMALL: Final = {"MaxJobs": "1"}
_POLL_SECONDS: Final = 5.0


def _managed(site: Site) -> ManagedStack:
    seconds = 0.1 if site.embedded else _POLL_SECONDS
    return ManagedStack(site.clients, site.stack_name, poll_seconds=seconds)


def _followed(site: Site, events: Iterator[Any]) -> int:
    """Follow an operation to its end; return how many events it had."""
    count = 0
    for count, event in enumerate(events, 1):  # noqa: B007 - the last number is returned
        site.say(str(event))
    return count


def _own(site: Site) -> ManagedStack:
    """Return the stack of this acceptance; create it if nobody has yet."""
    managed = _managed(site)
    if managed.find() is None:
        site.later(f"delete {managed}", functools.partial(_delete, site, managed))
        tags = {"rios:acceptance": site.identity}
        _followed(site, create_stack(managed, _SMALL, tags))
    return managed


def _delete(site: Site, managed: ManagedStack) -> int:
    return 0 if managed.find() is None else _followed(site, delete_stack(managed))


def _outputs(site: Site, managed: ManagedStack) -> StackOutputs:
    settings = site.settings.model_copy(
        update={"stack": managed.name, "bucket": None, "job_queue": None, "job_definition": None}
    )
    return outputs_record(read_outputs(site.clients, managed.name), settings)


def _created(site: Site) -> Observed:
    managed = _own(site)
    status = managed.existing()["StackStatus"]
    return Observed(status == "CREATE_COMPLETE", f"{managed}: {status}")


def _tags(site: Site) -> Observed:
    managed = _own(site)
    kinds = [
        one.name
        for one in managed.resources(managed.existing()["StackId"])
        if one.kind == COMPUTE_ENVIRONMENT
    ]
    found: Any = site.clients.batch.describe_compute_environments(computeEnvironments=kinds)
    tagged = [one.get("tags", {}) for one in found["computeEnvironments"]]
    kept = bool(tagged) and all(one.get("rios:acceptance") == site.identity for one in tagged)
    return Observed(kept, f"tags of compute environments: {tagged}")


def _modified(site: Site, **parameters: str) -> Observed:
    managed = _own(site)
    try:
        plan = plan_change(managed, parameters, {})
        count = _followed(site, apply_plan(managed, plan))
    except StackError as error:
        return Observed(kept=False, detail=str(error))
    status = managed.existing()["StackStatus"]
    return Observed(status == "UPDATE_COMPLETE", f"{status} after {count} events")


def _interfaces(site: Site) -> Observed:
    """Delete a stack on Fargate right after a job of it has ended."""
    managed = _own(site)
    if _parameter(managed, "ComputeType") != "fargate":
        _followed(site, apply_plan(managed, plan_change(managed, {"ComputeType": "fargate"}, {})))
    stack, batch = _outputs(site, managed), site.clients.batch
    definition = latest_definition(batch, stack.job_definition)
    copy = {**copy_with_image(definition, _PUBLIC_IMAGE), "jobDefinitionName": site.job_name}
    registered = batch.register_job_definition(**copy)["jobDefinitionArn"]
    site.later(
        "deregister a job definition",
        lambda: batch.deregister_job_definition(jobDefinition=registered),
    )
    overrides: Any = {"command": ["true"]}
    job = site.ended(
        site.submit(
            jobQueue=stack.job_queue, jobDefinition=registered, containerOverrides=overrides
        )
    )
    if not job.get("startedAt"):
        raise NotShownError(f"no job began on Fargate: {reason_of(job)}")
    try:
        _delete(site, managed)
    except StackError as error:
        return Observed(kept=False, detail=str(error), vcpu_seconds=site.used(job))
    return Observed(
        kept=True, detail="deleted at once, network interfaces and all", vcpu_seconds=site.used(job)
    )


def _parameter(managed: ManagedStack, name: str) -> str:
    given = {one["ParameterKey"]: one["ParameterValue"] for one in managed.existing()["Parameters"]}
    return given.get(name, "")


def _deleted(site: Site) -> Observed:
    managed = _own(site)
    try:
        _delete(site, managed)
    except StackError as error:
        return Observed(kept=False, detail=str(error))
    return Observed(managed.find() is None, f"{managed} is gone")


PROMISES: Final = (
    Promise(
        "stacks.created",
        "The template creates a stack in this account and region.",
        "docs/aws.md, The stack",
        _created,
        minutes=4,
    ),
    Promise(
        "stacks.tags",
        "A stack's tags reach its compute environments, and so its costs.",
        f"{_TEMPLATES}/aws-resource-batch-computeenvironment.html",
        _tags,
        where="aws",
    ),
    Promise(
        "stacks.architecture",
        "`modify` changes machines from x86_64 to arm64.",
        f"{_GUIDE}/updating-compute-environments.html",
        functools.partial(_modified, Architecture="arm64"),
        minutes=5,
    ),
    Promise(
        "stacks.fargate",
        "`modify` changes a stack from EC2 to Fargate.",
        f"{_TEMPLATES}/aws-resource-batch-jobqueue.html",
        functools.partial(_modified, ComputeType="fargate", Architecture="x86_64"),
        minutes=6,
    ),
    Promise(
        "stacks.interfaces",
        "A stack can be deleted right after jobs on Fargate, whose interfaces stay a while.",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html",
        _interfaces,
        minutes=12,
        vcpu_seconds=120,
        where="aws",
    ),
    Promise(
        "stacks.deleted",
        "`delete` leaves nothing.",
        "docs/aws.md, The stack",
        _deleted,
        minutes=5,
    ),
)
