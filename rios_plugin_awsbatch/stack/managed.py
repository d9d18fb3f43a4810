"""The stack as a whole: created, changed, deleted, looked at.

::

    create ---------> create_stack ---.
    plan, apply ----> change set -----+--> follow: one Event for each step of a resource, StackError with
    delete: Contents, then delete ----'    the first cause if it fails

What a function has done or seen, it says in records; showing them is for the command line.
"""

import collections
import contextlib
import dataclasses
import datetime as dt
import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained, is_missing_stack
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.shipped import folder

from .contents import (
    BUCKET,
    COMPUTE_ENVIRONMENT,
    JOB_QUEUE,
    REPOSITORY,
    Contents,
    Resource,
    Step,
    number_of,
)
from .events import (
    Event,
    events_after,
    first_cause,
    follow,
    latest_operation,
    newest_event,
    undeleted,
)
from .parameters import checked_parameters

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef, TagTypeDef

__all__ = ["Change", "ManagedStack", "Plan", "StackReport"]

# A stack's name begins those of its runs' queues, of which roles know the pattern only.
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
DESCRIPTION: Final = "RIOS on AWS Batch, by rios-plugin-awsbatch"
RIOS_DESCRIPTION: Final = (
    "RIOS with AWS Batch using CloudFormation"  # of the template that RIOS itself has
)
_POLL_SECONDS: Final = 5.0
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")
_DELETE_ATTEMPTS: Final = 2  # a main script that still runs may write again what was deleted
_VPC, _SUBNET = "AWS::EC2::VPC", "AWS::EC2::Subnet"
# Without these, jobs that run or wait are lost.
_OF_JOBS: Final = {COMPUTE_ENVIRONMENT, JOB_QUEUE, BUCKET, REPOSITORY, _VPC, _SUBNET}
_CONTENTS: Final = {
    BUCKET: "bucket {} with all its objects",
    REPOSITORY: "repository {} with all its images",
}

_EMPTY_STATUS: Final = {
    "ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
}  # of a creation that failed, or never began
_WELL: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"}
_ONLY_DELETION: Final = "only `rios-awsbatch stack delete` helps"
_STUCK: Final = {
    "CREATE_FAILED": _ONLY_DELETION,
    "ROLLBACK_FAILED": _ONLY_DELETION,
    "DELETE_FAILED": _ONLY_DELETION,
    "UPDATE_ROLLBACK_FAILED": "have CloudFormation continue the rollback, in its console, or delete the stack",
}
_ADVICE: Final = {
    **_STUCK,
    "ROLLBACK_COMPLETE": "that leaves nothing that costs money; remove the cause, and create it again",
    "UPDATE_ROLLBACK_COMPLETE": "as it was before; remove the cause, and change it again",
    "DELETE_FAILED": "remove the cause, and delete it again",
}


@dataclasses.dataclass(frozen=True)
class Change:
    """What a change set does to one resource.

    Attributes:
        action: Add, Modify or Remove.
        resource: Its name in the template.
        kind: Its type.
        name: What AWS calls it; empty if it is yet to be made.
        replaced: Whether another one takes its place, or may do so.
    """

    action: str
    resource: str
    kind: str
    name: str
    replaced: bool

    @property
    def deletes(self) -> bool:
        """Whether what is there goes."""
        return self.action == "Remove" or self.replaced


@dataclasses.dataclass(frozen=True)
class Plan:
    """A change set that has been made and not been executed.

    Attributes:
        changes: What it does.
        change_set: Its ARN; None if there is nothing to change.
    """

    changes: tuple[Change, ...]
    change_set: str | None

    @property
    def losses(self) -> list[str]:
        """What would be lost that cannot be made again, in words."""
        return [
            _CONTENTS[one.kind].format(one.name)
            for one in self.changes
            if one.deletes and one.kind in _CONTENTS
        ]


@dataclasses.dataclass(frozen=True)
class StackReport:
    """How a stack is.

    Attributes:
        status: CloudFormation's.
        cause: Why, if it is not well.
        parameters: All of them.
        outputs: All of them.
        environments: What Batch says about each compute environment.
        jobs: How many jobs are in each state before their end.
        images: For each repository, when its latest image was pushed; None if there is none.
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


class ManagedStack:
    """A stack of this package's, which need not exist (yet).

    Args:
        name: Its name.
        region: Its region.
        poll_seconds: How often to look while something is going on.

    Raises:
        StackError: No stack can have that name, or there are no credentials.
    """

    def __init__(self, name: str, region: str, *, poll_seconds: float = _POLL_SECONDS) -> None:
        if not NAME.fullmatch(name):
            raise StackError(
                f"A stack cannot be named {name!r}: up to 40 letters, digits and hyphens, and a letter to begin with."
            )
        self.name, self.region = name, region
        self._poll_seconds = poll_seconds
        with self._explained("use"):
            self._cloudformation = Clients(region).cloudformation
            self._contents = Contents(name, region, poll_seconds)

    def __str__(self) -> str:
        return f"stack {self.name} in {self.region}"

    # Creating

    def create(self, parameters: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[Event]:
        """Begin to create the stack.

        Returns:
            The events of it, until it is there; they need not be looked at.

        Raises:
            StackError: It exists, or CloudFormation does not take the order; while the events are looked at: a
                resource could not be created.
        """
        with self._explained("create"):
            found = self._found()
            if found is not None:
                self._refuse_existing(found)
            body = _template()
            given = checked_parameters(parameters, self._defaults(body))
            if found is not None:
                self._remove_remains(found["StackId"])
            answer = self._cloudformation.create_stack(
                StackName=self.name,
                TemplateBody=body,
                Parameters=_parameter_list(given),
                Tags=_tag_list(tags),
                Capabilities=["CAPABILITY_IAM"],
                OnFailure="ROLLBACK",
            )
        return self._follow(answer["StackId"], None, "created", "CREATE_COMPLETE")

    def _refuse_existing(self, found: "StackTypeDef") -> None:
        """Raise unless a stack of that name is ours, and the mere shell of a creation that failed."""
        status = found["StackStatus"]
        if status == "REVIEW_IN_PROGRESS":  # nothing is in it
            return
        self._refuse_foreign(found)
        self._refuse_unready(found)
        if status not in _EMPTY_STATUS:
            raise StackError(
                f"There already is a {self} ({status}): change it with `rios-awsbatch stack modify`, "
                "or delete it with `rios-awsbatch stack delete`."
            )

    def _refuse_foreign(self, found: "StackTypeDef", *, rios: bool = False) -> None:
        """Raise if a stack is made from none of our templates; RIOS's own is good enough to delete."""
        description = found.get("Description")
        if description == DESCRIPTION or (rios and description == RIOS_DESCRIPTION):
            return
        how = (
            "by `rios-awsbatch stack delete`"
            if description == RIOS_DESCRIPTION
            else "in CloudFormation's console"
        )
        raise StackError(
            f"The {self} was not made from this package's template: give another --stackname, or delete it {how}."
        )

    def _refuse_unready(self, found: "StackTypeDef") -> None:
        self._refuse_in_progress(found)
        status = found["StackStatus"]
        if status in _STUCK:
            raise StackError(f"The {self} is {status}: {_STUCK[status]}.")

    def _refuse_in_progress(self, found: "StackTypeDef") -> None:
        if found["StackStatus"].endswith("_IN_PROGRESS"):
            raise StackError(
                f"The {self} is being worked on ({found['StackStatus']}); wait until that has ended."
            )

    def _remove_remains(self, stack_id: str) -> None:
        """Delete the shell of a stack whose creation failed; its resources have gone with the failure."""
        newest = newest_event(self._cloudformation, stack_id)
        self._cloudformation.delete_stack(StackName=stack_id)
        for _ in self._follow(stack_id, newest, "deleted", "DELETE_COMPLETE"):
            pass

    def _defaults(self, body: str) -> dict[str, str]:
        summary = self._cloudformation.get_template_summary(TemplateBody=body)
        return {
            one["ParameterKey"]: str(one.get("DefaultValue", "")) for one in summary["Parameters"]
        }

    # Changing

    def plan(self, parameters: Mapping[str, str], tags: Mapping[str, str]) -> Plan:
        """Find out what a change would do to which resources; all parameters that are not given stay.

        Raises:
            StackError: There is no such stack, or it cannot be changed now or in this way: not while there are jobs, if
                the change would take away what they need.
        """
        with self._explained("change"):
            found = self._existing()
            self._refuse_unchangeable(found)
            body = _template()
            defaults = self._defaults(body)
            now = {
                one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])
            }
            given = checked_parameters(
                parameters, {**defaults, **{key: now[key] for key in now if key in defaults}}
            )
            kept: list[ParameterTypeDef] = [
                {"ParameterKey": key, "UsePreviousValue": True}
                for key in now
                if key in defaults and key not in given
            ]
            old_tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
            retagged: Any = {"Tags": _tag_list({**old_tags, **tags})} if tags else {}
            change_set = self._cloudformation.create_change_set(
                StackName=self.name,
                ChangeSetName=f"rios-awsbatch-{time.time_ns()}",
                ChangeSetType="UPDATE",
                TemplateBody=body,
                Parameters=[*_parameter_list(given), *kept],
                Capabilities=["CAPABILITY_IAM"],
                **retagged,
            )["Id"]
            fargate = {**defaults, **now, **given}["ComputeType"].startswith("fargate")
            with self._discarded_on_error(change_set):
                plan = self._planned(change_set, fargate=fargate)
                self._refuse_harmful(plan, found["StackId"])
            return plan

    def _refuse_unchangeable(self, found: "StackTypeDef") -> None:
        status = found["StackStatus"]
        if status in _EMPTY_STATUS:
            raise StackError(f"The creation of {self} had failed ({status}); create it again.")
        self._refuse_foreign(found)
        self._refuse_unready(found)

    @contextlib.contextmanager
    def _discarded_on_error(self, change_set: str) -> Iterator[None]:
        with contextlib.ExitStack() as undo:
            undo.callback(self._cloudformation.delete_change_set, ChangeSetName=change_set)
            yield
            undo.pop_all()

    def _refuse_harmful(self, plan: Plan, stack_id: str) -> None:
        kinds = {change.kind for change in plan.changes if change.replaced}
        if (
            _SUBNET in kinds and _VPC not in kinds
        ):  # the new ones would want the addresses of the old ones
            raise StackError(
                f"The zones of {self} cannot be changed: delete it, and create it with --az."
            )
        taken = [
            change.resource for change in plan.changes if change.deletes and change.kind in _OF_JOBS
        ]
        jobs = len(self._contents.unfinished(self._resources(stack_id))) if taken else 0
        if jobs:
            raise StackError(
                f"This change deletes or replaces {', '.join(taken)}, and {number_of(jobs, 'job', 'jobs')} of {self} "
                "would be lost: wait until all have ended, or end them with `rios-awsbatch cancel`."
            )

    def _planned(self, change_set: str, *, fargate: bool) -> Plan:
        changes: list[Change] = []
        while (answer := self._cloudformation.describe_change_set(ChangeSetName=change_set))[
            "Status"
        ] in (
            "CREATE_PENDING",
            "CREATE_IN_PROGRESS",
        ):
            time.sleep(self._poll_seconds)
        if answer["Status"] != "CREATE_COMPLETE":
            reason = answer.get("StatusReason", f"its change set is {answer['Status']}")
            if any(sentence in reason for sentence in _NO_CHANGES):
                self._cloudformation.delete_change_set(ChangeSetName=change_set)
                return Plan((), None)
            raise StackError(f"Cannot change {self}: {reason}")
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(
            ChangeSetName=change_set
        )
        for change in (
            change["ResourceChange"] for page in pages for change in page.get("Changes", [])
        ):
            kind, replacement = change["ResourceType"], change.get("Replacement")
            # Conditional means: perhaps. The template has environments on EC2 updated in place whatever changes.
            perhaps = replacement == "Conditional" and (fargate or kind != COMPUTE_ENVIRONMENT)
            changes.append(
                Change(
                    change["Action"],
                    change["LogicalResourceId"],
                    kind,
                    change.get("PhysicalResourceId", ""),
                    replacement == "True" or perhaps,
                )
            )
        return Plan(tuple(changes), change_set)

    def apply(self, plan: Plan) -> Iterator[Step | Event]:
        """Begin to change the stack as planned; a bucket that goes is emptied, as CloudFormation cannot do that.

        Returns:
            As `create` does, and what could not be deleted.

        Raises:
            StackError: As `create` does, or as `plan` does.
        """
        if plan.change_set is None:
            return iter(())
        with self._explained("change"):
            stack_id = self._existing()["StackId"]
            with self._discarded_on_error(plan.change_set):
                self._refuse_harmful(plan, stack_id)  # who was asked may have taken a while
                going = [
                    change.name
                    for change in plan.changes
                    if change.deletes and change.kind == BUCKET
                ]
                steps = [step for bucket in going for step in self._contents.delete_objects(bucket)]
                before = self._resources(stack_id)
                newest = newest_event(self._cloudformation, stack_id)
                self._cloudformation.execute_change_set(ChangeSetName=plan.change_set)
        return itertools.chain(steps, self._changing(stack_id, newest, before))

    def _changing(
        self, stack_id: str, newest: str | None, before: Sequence[Resource]
    ) -> Iterator[Step | Event]:
        seen: list[Event] = []
        for event in self._follow(stack_id, newest, "changed", "UPDATE_COMPLETE"):
            seen.append(event)
            yield event
        with self._explained("tidy up"):
            yield from self._contents.delete_renamed(before, self._resources(stack_id))
        for event in undeleted(seen):
            yield Step(f"Left, and yours to delete: {event.kind} {event.name}. {event.reason}")

    def discard(self, plan: Plan) -> None:
        """Forget a plan."""
        if plan.change_set is not None:
            with self._explained("change"):
                self._cloudformation.delete_change_set(ChangeSetName=plan.change_set)

    # Deleting

    def delete(self, *, wait: bool = True) -> Iterator[Step | Event]:
        """Delete the stack and all that is in it; takes place as the records of it are looked at.

        Args:
            wait: Look on until it is gone, and say what is left; otherwise end when CloudFormation has taken the order.

        Raises:
            StackError: There is no such stack, or it may not be deleted, and nothing is; or something could not be
                deleted: what, and why.
        """
        with self._explained("delete"):
            stack_id = self.refuse_undeletable()
            before = self._resources(stack_id)
            for attempt in range(_DELETE_ATTEMPTS):
                yield from self._contents.delete(self._resources(stack_id))
                newest = newest_event(self._cloudformation, stack_id)
                self._cloudformation.delete_stack(StackName=stack_id)
                if not wait:
                    return
                try:
                    yield from self._follow(stack_id, newest, "deleted", "DELETE_COMPLETE")
                except StackError as error:
                    if attempt == _DELETE_ATTEMPTS - 1:
                        raise StackError(f"{error} Left: {self._left(stack_id)}.") from None
                    yield Step(f"Trying again: {error}")
                else:
                    break
            yield from self._contents.delete_beside(before)
            left = self._left(stack_id)
            yield Step(f"Left, because the template says so: {left}" if left else "Nothing is left")

    def refuse_undeletable(self) -> str:
        """Raise if there is no such stack, or it may not be deleted; return its id."""
        with self._explained("delete"):
            found = self._existing()
            status = found["StackStatus"]
            if status != "REVIEW_IN_PROGRESS":  # else nothing is in it
                self._refuse_foreign(found, rios=True)
                if found.get("EnableTerminationProtection"):
                    raise StackError(
                        f"The {self} is protected from deletion: end its termination protection, in CloudFormation's "
                        "console."
                    )
                if status not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                    self._refuse_in_progress(found)
            return found["StackId"]

    def _left(self, stack_id: str) -> str:
        return ", ".join(f"{one.kind} {one.name}" for one in self._resources(stack_id) if one.there)

    def _resources(self, stack_id: str) -> list[Resource]:
        """Return the resources that were ever made."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=stack_id
        )
        return [
            Resource(one["ResourceType"], one["PhysicalResourceId"], one["ResourceStatus"])
            for page in pages
            for one in page["StackResourceSummaries"]
            if one.get("PhysicalResourceId")
        ]

    # Looking

    def report(self) -> StackReport:
        """Say how the stack is.

        Raises:
            StackError: There is no such stack.
        """
        with self._explained("look at"):
            found = self._existing()
            status = found["StackStatus"]
            resources = self._resources(found["StackId"])
            events = (
                events_after(self._cloudformation, found["StackId"], None)
                if status not in _WELL
                else []
            )
            return StackReport(
                status=status,
                cause=first_cause(latest_operation(events)) or found.get("StackStatusReason", ""),
                parameters={
                    one["ParameterKey"]: one["ParameterValue"]
                    for one in found.get("Parameters", [])
                },
                outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
                environments=self._contents.environments(resources),
                jobs=collections.Counter(self._contents.unfinished(resources).values()),
                images=self._contents.images(resources),
                runs=self._contents.run_count(resources),
            )

    # What all of these stand on

    def _follow(self, stack_id: str, after: str | None, done: str, good: str) -> Iterator[Event]:
        """Yield the events that come after one, until the stack is at rest.

        Raises:
            StackError: It has not come to the good end: on what it failed, and why.
        """
        with self._explained("look at"):
            status = yield from follow(self._cloudformation, stack_id, after, self._poll_seconds)
            if status == good:
                return
            cause = first_cause(events_after(self._cloudformation, stack_id, after))
        advice = f": {_ADVICE[status]}" if status in _ADVICE else ""
        raise StackError(
            f"The {self} was not {done}: {cause or 'CloudFormation gives no reason.'} It is {status} now{advice}."
        )

    def _found(self) -> "StackTypeDef | None":
        try:
            return self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except botocore.exceptions.ClientError as error:
            if is_missing_stack(error):
                return None
            raise

    def _existing(self) -> "StackTypeDef":
        found = self._found()
        if found is None:
            raise StackError(
                f"There is no {self}; create it, or name another one with --stackname and --region."
            )
        return found

    def _explained(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return explained(StackError, f"Cannot {doing} {self}")


def _template() -> str:
    return (folder("stack") / "batch.yaml").read_text(encoding="utf-8")


def _parameter_list(parameters: Mapping[str, str]) -> "list[ParameterTypeDef]":
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


def _tag_list(tags: Mapping[str, str]) -> "list[TagTypeDef]":
    return [{"Key": key, "Value": value} for key, value in tags.items()]
