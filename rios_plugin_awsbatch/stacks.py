"""The stack as a whole: created, changed, deleted, looked at.

::

    create ---------> create_stack ---.
    plan, apply ----> change set -----+--> follow: one Event for each step of a resource, StackError with
    delete: jobs, queues, objects,    |    the first cause if it fails
            images, revisions, then --'

What a function has done or seen, it says in records; showing them is for the command line.
"""

import contextlib
import dataclasses
import datetime as dt
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.exceptions

from .awserrors import error_code, sentence_for
from .errors import StackError
from .parameters import checked_parameters
from .shipped import folder

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef, TagTypeDef

__all__ = ["Change", "Event", "ManagedStack", "Plan", "StackReport", "Step"]

# A stack's name begins those of its runs' queues, of which roles know the pattern only.
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
DESCRIPTION: Final = "RIOS on AWS Batch, by rios-plugin-awsbatch"
UNFINISHED: Final = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
_ENDED_WELL: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"}
_NEVER_WAS: Final = {"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"}  # left of a creation that failed, or never began
_BEGINNINGS: Final = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")
_POLL_SECONDS: Final = 5.0
_JOBS_END_WITHIN: Final = 300.0
_DELETE_ATTEMPTS: Final = 2  # a main script that still runs may write again what was deleted
_OBJECTS_AT_ONCE: Final = 1000
_IMAGES_AT_ONCE: Final = 100


@dataclasses.dataclass(frozen=True)
class Event:
    """One step of a resource.

    Attributes:
        time: When.
        resource: Its name in the template; the stack's own name for the stack itself.
        kind: Its type.
        status: What CloudFormation calls the step.
        reason: Why, mostly of failures.
    """

    time: dt.datetime
    resource: str
    kind: str
    status: str
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether this is a failure, and not merely the end of what another one has cancelled."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


@dataclasses.dataclass(frozen=True)
class Change:
    """What a change set does to one resource: Add, Modify or Remove; and whether by making another one."""

    action: str
    resource: str
    kind: str
    replaced: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """A change set that has been made and not been executed; without one, there is nothing to change."""

    changes: tuple[Change, ...]
    change_set: str | None


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that was done on the way to an end, in words."""

    text: str


@dataclasses.dataclass(frozen=True)
class StackReport:
    """How a stack is.

    Attributes:
        status: CloudFormation's.
        cause: Why, if it is not well.
        parameters: All of them.
        outputs: All of them.
        environment: What Batch says about the compute environment.
        jobs: How many jobs are in each state before their end.
        images: For each repository, when its latest image was pushed; None if there is none.
        runs: How many runs have objects in the bucket.
    """

    status: str
    cause: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    environment: str
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
            self._cloudformation = boto3.client("cloudformation", region_name=region)
            self._batch = boto3.client("batch", region_name=region)
            self._s3 = boto3.client("s3", region_name=region)
            self._sqs = boto3.client("sqs", region_name=region)
            self._ecr = boto3.client("ecr", region_name=region)

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
            if found is not None and found["StackStatus"] not in _NEVER_WAS:
                raise StackError(
                    f"There already is a {self} ({found['StackStatus']}): change it with `rios-awsbatch stack modify`, "
                    "or delete it with `rios-awsbatch stack delete`."
                )
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
        return self._follow(answer["StackId"], None, "created")

    def _remove_remains(self, stack_id: str) -> None:
        """Delete the shell of a stack whose creation failed; its resources have gone with the failure."""
        newest = self._newest_event(stack_id)
        self._cloudformation.delete_stack(StackName=stack_id)
        for _ in self._follow(stack_id, newest, "deleted"):
            pass

    def _defaults(self, body: str) -> dict[str, str]:
        summary = self._cloudformation.get_template_summary(TemplateBody=body)
        return {one["ParameterKey"]: str(one.get("DefaultValue", "")) for one in summary["Parameters"]}

    # Changing

    def plan(self, parameters: Mapping[str, str], tags: Mapping[str, str]) -> Plan:
        """Find out what a change would do to which resources; all parameters that are not given stay.

        Raises:
            StackError: There is no such stack, or it cannot be changed now or in this way.
        """
        with self._explained("change"):
            found = self._existing()
            self._refuse_unchangeable(found)
            body = _template()
            defaults = self._defaults(body)
            now = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}
            given = checked_parameters(parameters, {**defaults, **{key: now[key] for key in now if key in defaults}})
            kept: list[ParameterTypeDef] = [
                {"ParameterKey": key, "UsePreviousValue": True} for key in now if key in defaults and key not in given
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
            return self._planned(change_set)

    def _refuse_unchangeable(self, found: "StackTypeDef") -> None:
        status = found["StackStatus"]
        if status in _NEVER_WAS:
            raise StackError(f"The creation of {self} had failed ({status}); create it again.")
        if status.endswith("_IN_PROGRESS"):
            raise StackError(f"The {self} is being worked on ({status}); wait until that has ended.")
        if found.get("Description") != DESCRIPTION:
            raise StackError(
                f"The {self} was not made from this package's template; delete it, or give another --stackname."
            )

    def _planned(self, change_set: str) -> Plan:
        changes: list[Change] = []
        while (answer := self._cloudformation.describe_change_set(ChangeSetName=change_set))["Status"] not in (
            "CREATE_COMPLETE",
            "FAILED",
        ):
            time.sleep(self._poll_seconds)
        if answer["Status"] == "FAILED":
            reason = answer.get("StatusReason", "CloudFormation gives no reason")
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            if any(sentence in reason for sentence in _NO_CHANGES):
                return Plan((), None)
            raise StackError(f"Cannot change {self}: {reason}")
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
        for change in (change["ResourceChange"] for page in pages for change in page.get("Changes", [])):
            replaced = change.get("Replacement") in ("True", "Conditional")
            changes.append(Change(change["Action"], change["LogicalResourceId"], change["ResourceType"], replaced))
        return Plan(tuple(changes), change_set)

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Begin to change the stack as planned; returns and raises as `create` does."""
        if plan.change_set is None:
            return iter(())
        with self._explained("change"):
            stack_id = self._existing()["StackId"]
            newest = self._newest_event(stack_id)
            self._cloudformation.execute_change_set(ChangeSetName=plan.change_set)
        return self._follow(stack_id, newest, "changed")

    def discard(self, plan: Plan) -> None:
        """Forget a plan."""
        if plan.change_set is not None:
            with self._explained("change"):
                self._cloudformation.delete_change_set(ChangeSetName=plan.change_set)

    # Deleting

    def delete(self, *, wait: bool = True) -> Iterator[Step | Event]:
        """Delete the stack and all that is in it; takes place as the records of it are looked at.

        Args:
            wait: Look on until it is gone; otherwise end when CloudFormation has taken the order.

        Raises:
            StackError: There is no such stack, or something could not be deleted: what, and why.
        """
        with self._explained("delete"):
            found = self._existing()
            for attempt in range(_DELETE_ATTEMPTS):
                yield from self._empty()
                newest = self._newest_event(found["StackId"])
                self._cloudformation.delete_stack(StackName=found["StackId"])
                if not wait:
                    return
                try:
                    yield from self._follow(found["StackId"], newest, "deleted")
                except StackError as error:
                    if attempt == _DELETE_ATTEMPTS - 1:
                        left = ", ".join(f"{kind} {name}" for kind, name in self._left(found["StackId"]))
                        raise StackError(f"{error} Left: {left}.") from None
                    yield Step(f"Trying again: {error}")
                else:
                    break
            for kind, name in self._left(found["StackId"]):
                yield Step(f"Left, because the template says so: {kind} {name}")

    def _left(self, stack_id: str) -> list[tuple[str, str]]:
        resources = self._resources(stack_id)
        return [(kind, name) for kind, name, status in resources if status != "DELETE_COMPLETE"]

    def _resources(self, stack_id: str) -> list[tuple[str, str, str]]:
        """Return type, name and status of each resource; those that were never made have no name."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
        listed = [one for page in pages for one in page["StackResourceSummaries"] if one.get("PhysicalResourceId")]
        return [(one["ResourceType"], one["PhysicalResourceId"], one["ResourceStatus"]) for one in listed]

    def _empty(self) -> Iterator[Step]:
        """Delete what CloudFormation would not, or would stumble over."""
        there = [(kind, name) for kind, name, status in self._resources(self.name) if status != "DELETE_COMPLETE"]
        for queue in [name for kind, name in there if kind == "AWS::Batch::JobQueue"]:
            yield from self._end_jobs(queue)
        yield from _counted(self._delete_run_queues(), "queue of runs", "queues of runs")
        for bucket in [name for kind, name in there if kind == "AWS::S3::Bucket"]:
            yield from _counted(self._delete_objects(bucket), "object", "objects", f" of bucket {bucket}")
        for repository in [name for kind, name in there if kind == "AWS::ECR::Repository"]:
            yield from _counted(self._delete_images(repository), "image", "images", f" of repository {repository}")
        for definition in [name for kind, name in there if kind == "AWS::Batch::JobDefinition"]:
            name = _definition_name(definition)
            yield from _counted(
                self._deregister_others(definition), "old revision", "old revisions", f" of job definition {name}"
            )

    def _end_jobs(self, queue: str) -> Iterator[Step]:
        with _missing_is_fine("does not exist"):
            self._batch.update_job_queue(jobQueue=queue, state="DISABLED")  # no new ones
            jobs = self._unfinished(queue)
            for job in jobs:
                self._batch.terminate_job(jobId=job, reason=f"The {self} is being deleted")
            if jobs:
                yield Step(f"Ending {_number(len(jobs), 'job', 'jobs')}")
            deadline = time.monotonic() + _JOBS_END_WITHIN
            while jobs and time.monotonic() < deadline:
                time.sleep(min(self._poll_seconds, 1.0))
                jobs = self._unfinished(queue)

    def _unfinished(self, queue: str) -> list[str]:
        lister = self._batch.get_paginator("list_jobs")
        pages = (page for status in UNFINISHED for page in lister.paginate(jobQueue=queue, jobStatus=status))
        return [job["jobId"] for page in pages for job in page["jobSummaryList"]]

    def _delete_run_queues(self) -> int:
        pages = self._sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix=f"{self.name}-run-", PaginationConfig={"PageSize": 1000}
        )
        urls = [url for page in pages for url in page.get("QueueUrls", [])]
        for url in urls:
            with _missing_is_fine("NonExistentQueue", "QueueDoesNotExist"):
                self._sqs.delete_queue(QueueUrl=url)
        return len(urls)

    def _delete_objects(self, bucket: str) -> int:
        deleted = 0
        with _missing_is_fine("NoSuchBucket"):
            while True:
                page = self._s3.list_object_versions(Bucket=bucket, MaxKeys=_OBJECTS_AT_ONCE)
                listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                keys: Any = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
                if not keys:
                    break
                errors = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                for error in errors.get("Errors", []):
                    raise StackError(f"Cannot delete {error['Key']} of bucket {bucket}: {error['Message']}")
                deleted += len(keys)
        return deleted

    def _delete_images(self, repository: str) -> int:
        """Delete images, those first that others refer to only after these have gone."""
        deleted = 0
        with _missing_is_fine("RepositoryNotFoundException"):
            while True:
                pages = self._ecr.get_paginator("list_images").paginate(repositoryName=repository)
                digests = sorted({one["imageDigest"] for page in pages for one in page["imageIds"]})
                done, failures = 0, []
                for start in range(0, len(digests), _IMAGES_AT_ONCE):
                    answer = self._ecr.batch_delete_image(
                        repositoryName=repository,
                        imageIds=[{"imageDigest": one} for one in digests[start : start + _IMAGES_AT_ONCE]],
                    )
                    done += len({one["imageDigest"] for one in answer["imageIds"]})
                    failures += answer["failures"]
                deleted += done
                if failures and not done:
                    raise StackError(f"Cannot delete images of {repository}: {failures[0]['failureReason']}")
                if not failures:
                    break
        return deleted

    def _deregister_others(self, definition: str) -> int:
        """Deregister the revisions that updates have kept, other than the one that CloudFormation has."""
        pages = self._batch.get_paginator("describe_job_definitions").paginate(
            jobDefinitionName=_definition_name(definition), status="ACTIVE"
        )
        found = [one["jobDefinitionArn"] for page in pages for one in page["jobDefinitions"]]
        old = [arn for arn in found if arn != definition]
        for arn in old:
            self._batch.deregister_job_definition(jobDefinition=arn)
        return len(old)

    # Looking

    def report(self) -> StackReport:
        """Say how the stack is.

        Raises:
            StackError: There is no such stack.
        """
        with self._explained("look at"):
            found = self._existing()
            status = found["StackStatus"]
            outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
            resources = self._resources(found["StackId"])
            repositories = [name for kind, name, _ in resources if kind == "AWS::ECR::Repository"]
            events = self._events(found["StackId"], None) if status not in _ENDED_WELL else []
            return StackReport(
                status=status,
                cause=_first_cause(_latest_operation(events)) or found.get("StackStatusReason", ""),
                parameters={one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])},
                outputs=outputs,
                environment=self._environment(outputs.get("ComputeEnvironmentArn")),
                jobs=self._job_counts(outputs.get("BatchProcessingJobQueueName")),
                images={name: self._pushed(name) for name in repositories},
                runs=self._run_count(outputs.get("BatchBucket")),
            )

    def _environment(self, arn: str | None) -> str:
        if arn is None:
            return ""
        for found in self._batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"]:
            return f"{found.get('state')}, {found.get('status')}: {found.get('statusReason', 'no reason given')}"
        return "gone"

    def _job_counts(self, queue: str | None) -> dict[str, int]:
        if queue is None:
            return {}
        lister = self._batch.get_paginator("list_jobs")
        pages = {status: lister.paginate(jobQueue=queue, jobStatus=status) for status in UNFINISHED}
        return {status: sum(len(page["jobSummaryList"]) for page in found) for status, found in pages.items()}

    def _pushed(self, repository: str) -> dt.datetime | None:
        with _missing_is_fine("RepositoryNotFoundException"):
            pages = self._ecr.get_paginator("describe_images").paginate(repositoryName=repository)
            times = [one["imagePushedAt"] for page in pages for one in page["imageDetails"] if one.get("imagePushedAt")]
            return max(times, default=None)
        return None

    def _run_count(self, bucket: str | None) -> int:
        if bucket is None:
            return 0
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="runs/", Delimiter="/")
        return sum(len(page.get("CommonPrefixes", [])) for page in pages)

    # Events

    def _follow(self, stack_id: str, after: str | None, done: str) -> Iterator[Event]:
        """Yield the events that come after one, until the stack is at rest.

        Raises:
            StackError: It failed: on what, and why.
        """
        seen: list[Event] = []
        with self._explained("look at"):
            while True:
                # Asked before the events: those of the end are then among them.
                status = self._cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
                events = self._events(stack_id, after)
                yield from events[len(seen) :]
                seen = events
                if not status.endswith("_IN_PROGRESS"):
                    break
                time.sleep(self._poll_seconds)
        if status not in _ENDED_WELL:
            cause = _first_cause(seen) or "CloudFormation gives no reason."
            raise StackError(f"The {self} was not {done}: {cause} It is {status} now{_advice(status)}.")

    def _events(self, stack_id: str, after: str | None) -> list[Event]:
        """Return the events after one, oldest first."""
        found: list[Event] = []
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for event in (event for page in pages for event in page["StackEvents"]):
            if event["EventId"] == after:
                break
            found.append(
                Event(
                    event["Timestamp"],
                    event["LogicalResourceId"],
                    event["ResourceType"],
                    event["ResourceStatus"],
                    event.get("ResourceStatusReason", ""),
                )
            )
        return found[::-1]

    def _newest_event(self, stack_id: str) -> str | None:
        events = self._cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
        return events[0]["EventId"] if events else None

    def _found(self) -> "StackTypeDef | None":
        with _missing_is_fine("does not exist"):
            return self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        return None

    def _existing(self) -> "StackTypeDef":
        found = self._found()
        if found is None:
            raise StackError(f"There is no {self}; create it, or name another one with --stackname and --region.")
        return found

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise StackError(f"Cannot {doing} {self}: {sentence_for(error)}") from error


def _template() -> str:
    return (folder("stack") / "batch.yaml").read_text(encoding="utf-8")


def _parameter_list(parameters: Mapping[str, str]) -> "list[ParameterTypeDef]":
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


def _tag_list(tags: Mapping[str, str]) -> "list[TagTypeDef]":
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _latest_operation(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events since the stack was last at rest."""
    begins = [
        number
        for number, event in enumerate(events)
        if event.kind == "AWS::CloudFormation::Stack" and event.status in _BEGINNINGS
    ]
    return events[begins[-1] :] if begins else events


def _first_cause(events: Sequence[Event]) -> str:
    """Say what failed first; the failures after it mostly follow from it."""
    for event in events:
        if event.failed:
            return f"{event.resource} ({event.kind}): {(event.reason or event.status).rstrip('.')}."
    return ""


def _advice(status: str) -> str:
    if status == "ROLLBACK_COMPLETE":
        return ", which leaves nothing that costs money: remove the cause, and create it again"
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return ", as it was before: remove the cause, and change it again"
    return ""


def _definition_name(arn: str) -> str:
    """Return the name in a job definition's ARN, which ends in its revision."""
    return arn.rpartition("/")[2].partition(":")[0]


def _counted(count: int, one: str, many: str, where: str = "") -> Iterator[Step]:
    if count:
        yield Step(f"Deleted {_number(count, one, many)}{where}")


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


@contextlib.contextmanager
def _missing_is_fine(*signs: str) -> Iterator[None]:
    """Go on if AWS says that a thing does not exist, in its code or in its message."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        if not any(sign in error_code(error) or sign in str(error) for sign in signs):
            raise
