"""Which IAM actions, on which resources, an API call needs.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from .api_calls import Call
from .iam import Access
from .iam_conditions import Values

__all__ = ["Account", "Lookup", "accesses", "missing_object_access"]

# What S3's operations need on the bucket, or on an object of it.
_S3_ON_BUCKET: Final = {
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
    "GET location": "GetBucketLocation",
    "GET tagging": "GetBucketTagging",
    "HeadBucket": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
}
_S3_ON_OBJECT: Final = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObject": "DeleteObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "PutObject": "PutObject",
    "UploadPart": "PutObject",
}
_S3_LIST_KEYS: Final = ("prefix", "delimiter", "max-keys")
_SQS_EVERYWHERE: Final = "ListQueues"
_SQS_BATCHES: Final = {
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "SendMessageBatch": "SendMessage",
}
# Of Batch, by the operation in lower case: those that know no resources, ...
_BATCH_EVERYWHERE: Final = {
    name.lower(): name
    for name in (
        "DescribeComputeEnvironments",
        "DescribeJobDefinitions",
        "DescribeJobQueues",
        "DescribeJobs",
        "ListJobs",
    )
}
# ... and the others, with the parameter that names the resource and the resource's type.
_BATCH: Final = {
    name.lower(): (name, parameter, kind)
    for name, parameter, kind in (
        ("CancelJob", "jobId", "job"),
        ("TerminateJob", "jobId", "job"),
        ("CreateComputeEnvironment", "computeEnvironmentName", "compute-environment"),
        ("DeleteComputeEnvironment", "computeEnvironment", "compute-environment"),
        ("UpdateComputeEnvironment", "computeEnvironment", "compute-environment"),
        ("CreateJobQueue", "jobQueueName", "job-queue"),
        ("DeleteJobQueue", "jobQueue", "job-queue"),
        ("UpdateJobQueue", "jobQueue", "job-queue"),
        ("DeregisterJobDefinition", "jobDefinition", "job-definition"),
        ("RegisterJobDefinition", "jobDefinitionName", "job-definition"),
        ("ListTagsForResource", "resourceArn", ""),
        ("TagResource", "resourceArn", ""),
        ("UntagResource", "resourceArn", ""),
    )
}
_TASKS: Final = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
_CLOUDFORMATION_EVERYWHERE: Final = {"ListStacks", "ValidateTemplate", "ListExports"}


class Lookup(Protocol):
    """What the account knows of the resources that a call names."""

    def job_tags(self, identity: str) -> Mapping[str, str]:
        """Return the tags of a job."""

    def stack_of(self, change_set: str) -> str:
        """Return the ARN of the stack of a change set, which is named by its ARN."""


@dataclasses.dataclass(frozen=True)
class Account:
    """Where resources are.

    Attributes:
        number: The account's number.
        region: The region.
        partition: The partition, ``aws`` for instance.
        lookup: Tells of its resources.
    """

    number: str
    region: str
    partition: str
    lookup: Lookup

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource, which may be an ARN already."""
        if resource.startswith("arn:"):
            return resource
        return f"arn:{self.partition}:{service}:{self.region}:{self.number}:{resource}"


def accesses(call: Call, account: Account) -> list[Access]:
    """Return what a call needs to be allowed, all of it.

    What the embedded AWS does not know is the action of the operation's name on ``*``.
    """
    reader = _SERVICES.get(call.service)
    found = list(reader(call, account)) if reader is not None else None
    if found is None or (not found and call.service != "sts"):
        return [Access(f"{call.service}:{call.operation}", "*", {"unmapped": "true"})]
    return found


def missing_object_access(call: Call, account: Account) -> Access:
    """Return what S3 asks for before it says that an object does not exist."""
    return Access("s3:ListBucket", _bucket(call, account))


def _bucket(call: Call, account: Account) -> str:
    return f"arn:{account.partition}:s3:::{call.parameters['Bucket']}"


def _s3(call: Call, account: Account) -> Iterator[Access]:
    given, bucket = call.parameters, _bucket(call, account)
    if call.operation == "ListBuckets":
        yield Access("s3:ListAllMyBuckets", "*")
    elif call.operation == "DeleteObjects":
        for one in given["Objects"]:
            action = "s3:DeleteObjectVersion" if one["VersionId"] else "s3:DeleteObject"
            yield Access(action, f"{bucket}/{one['Key']}")
    elif call.operation in _S3_ON_BUCKET:
        context = {f"s3:{key}": given[key] for key in _S3_LIST_KEYS if given.get(key)}
        yield Access(f"s3:{_S3_ON_BUCKET[call.operation]}", bucket, context)
    elif call.operation in _S3_ON_OBJECT:
        action = _S3_ON_OBJECT[call.operation]
        version = "Version" if given.get("versionId") else ""
        yield Access(f"s3:{action}{version}", f"{bucket}/{given['Key']}")
        if "CopySource" in given:
            source = given["CopySource"].lstrip("/").partition("?")[0]
            yield Access("s3:GetObject", f"arn:{account.partition}:s3:::{source}")


def _sqs(call: Call, account: Account) -> Iterator[Access]:
    given = call.parameters
    if call.operation == _SQS_EVERYWHERE:
        yield Access(f"sqs:{call.operation}", "*")
        return
    name = given.get("QueueName") or str(given.get("QueueUrl", "")).rpartition("/")[2]
    queue = account.arn("sqs", name)
    tags = _tags_asked_for(given.get("tags") or given.get("Tags") or {})
    action = _SQS_BATCHES.get(call.operation, call.operation)
    yield Access(f"sqs:{action}", queue, tags)
    if tags and action == "CreateQueue":
        yield Access("sqs:TagQueue", queue, tags)


def _tags_asked_for(tags: Mapping[str, str]) -> dict[str, Values]:
    if not tags:
        return {}
    return {
        "aws:TagKeys": sorted(tags),
        **{f"aws:RequestTag/{name}": value for name, value in tags.items()},
    }


def _batch(call: Call, account: Account) -> Iterator[Access]:
    given = call.parameters
    if call.operation in _BATCH_EVERYWHERE:
        yield Access(f"batch:{_BATCH_EVERYWHERE[call.operation]}", "*")
        return
    tags = _tags_asked_for(given.get("tags") or {})
    if call.operation == "submitjob":
        resources = [
            account.arn("batch", _prefixed("job-queue", given.get("jobQueue"))),
            account.arn("batch", _prefixed("job-definition", given.get("jobDefinition"))),
            account.arn("batch", "job/*"),  # it has no id yet
        ]
        yield from (Access("batch:SubmitJob", resource, tags) for resource in resources)
        if tags:
            yield Access("batch:TagResource", resources[-1], tags)
    elif call.operation in _BATCH:
        action, parameter, kind = _BATCH[call.operation]
        resource = account.arn("batch", _prefixed(kind, given.get(parameter)))
        context = {**tags, **_tags_of_job(kind, given.get(parameter), account)}
        yield Access(f"batch:{action}", resource, context)
        if tags and kind:
            # A definition's revision, which does not exist yet.
            tagged = f"{resource}:*" if action == "RegisterJobDefinition" else resource
            yield Access("batch:TagResource", tagged, tags)
        if action == "RegisterJobDefinition":
            yield from _roles_of(given.get("containerProperties") or {})


def _prefixed(kind: str, name: Any) -> str:
    text = str(name or "")
    return text if text.startswith("arn:") or not kind else f"{kind}/{text}"


def _tags_of_job(kind: str, identity: Any, account: Account) -> dict[str, Values]:
    if kind != "job":
        return {}
    tags = account.lookup.job_tags(str(identity))
    return {f"aws:ResourceTag/{name}": value for name, value in tags.items()}


def _roles_of(container: Mapping[str, Any]) -> Iterator[Access]:
    """Yield what it takes to give roles to jobs."""
    for name in ("jobRoleArn", "executionRoleArn"):
        if container.get(name):
            yield Access("iam:PassRole", container[name], _TASKS)


def _logs(call: Call, account: Account) -> Iterator[Access]:
    given = call.parameters
    name = str(given.get("logGroupName") or given.get("logGroupIdentifier") or "*")
    group = account.arn("logs", f"log-group:{name}")
    if call.operation == "GetLogEvents":
        yield Access("logs:GetLogEvents", f"{group}:log-stream:{given.get('logStreamName', '')}")
    elif call.operation:
        yield Access(f"logs:{call.operation}", f"{group}:*")


def _ecr(call: Call, account: Account) -> Iterator[Access]:
    given = call.parameters
    if call.operation == "GetAuthorizationToken":
        yield Access("ecr:GetAuthorizationToken", "*")
    elif call.operation == "DescribeRepositories" and not given.get("repositoryNames"):
        yield Access("ecr:DescribeRepositories", account.arn("ecr", "repository/*"))
    elif call.operation:
        names = given.get("repositoryNames") or [given.get("repositoryName", "")]
        for name in names:
            yield Access(f"ecr:{call.operation}", account.arn("ecr", f"repository/{name}"))


def _cloudformation(call: Call, account: Account) -> Iterator[Access]:
    given, action = call.parameters, f"cloudformation:{call.operation}"
    if not call.operation:
        return
    change_set = str(given.get("ChangeSetName", ""))
    name = str(given.get("StackName") or "")
    if call.operation in _CLOUDFORMATION_EVERYWHERE or not (name or change_set):
        yield Access(action, "*")
        return
    if not name:
        name = account.lookup.stack_of(change_set)
    # A request by name is checked against any id, not against the stack's own.
    stack = name if name.startswith("arn:") else f"stack/{name}/*"
    context = {"cloudformation:ChangeSetName": change_set} if change_set else {}
    yield Access(action, account.arn("cloudformation", stack), context)
    if "Tags.member.1.Key" in given:
        yield Access("cloudformation:TagResource", account.arn("cloudformation", stack))


def _sts(call: Call, _account: Account) -> Iterator[Access]:
    if call.operation != "GetCallerIdentity":  # which needs no permission
        yield Access(f"sts:{call.operation}", str(call.parameters.get("RoleArn", "*")))


def _iam(call: Call, account: Account) -> Iterator[Access]:
    given = call.parameters
    for name, kind in (("RoleName", "role"), ("UserName", "user"), ("PolicyName", "policy")):
        if name in given:
            arn = f"arn:{account.partition}:iam::{account.number}:{kind}/{given[name]}"
            yield Access(f"iam:{call.operation}", arn)
            return


_SERVICES: Final[Mapping[str, Callable[[Call, Account], Iterator[Access]]]] = {
    "batch": _batch,
    "cloudformation": _cloudformation,
    "ecr": _ecr,
    "iam": _iam,
    "logs": _logs,
    "s3": _s3,
    "sqs": _sqs,
    "sts": _sts,
}
