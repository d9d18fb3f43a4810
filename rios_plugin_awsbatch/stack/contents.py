"""What is in a stack: looked at; and deleted, where CloudFormation would leave it or stumble over it.

::

    jobs ---------> ended; their queue disabled and at rest
    definitions --> old revisions, and copies that submissions have registered, deregistered
    run queues ---> deleted, by the pattern of their names
    bucket -------> emptied, all versions
    repositories -> emptied
"""

import contextlib
import dataclasses
import datetime as dt
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.batch import UNFINISHED
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import error_code, is_missing_queue
from rios_plugin_awsbatch.aws.names import RUN_ID, queue_pattern, queue_prefix
from rios_plugin_awsbatch.errors import StackError

__all__ = [
    "BUCKET",
    "COMPUTE_ENVIRONMENT",
    "JOB_QUEUE",
    "REPOSITORY",
    "Contents",
    "Resource",
    "Step",
    "named",
    "number_of",
]

# What CloudFormation calls them.
JOB_QUEUE: Final = "AWS::Batch::JobQueue"
COMPUTE_ENVIRONMENT: Final = "AWS::Batch::ComputeEnvironment"
JOB_DEFINITION: Final = "AWS::Batch::JobDefinition"
BUCKET: Final = "AWS::S3::Bucket"
REPOSITORY: Final = "AWS::ECR::Repository"
_PATIENCE: Final = 300.0
_OBJECTS_AT_ONCE: Final = 1000
_IMAGES_AT_ONCE: Final = 100


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that was done or found on the way to an end, in words."""

    text: str


@dataclasses.dataclass(frozen=True)
class Resource:
    """A resource of the stack: its type, what AWS calls it, and what CloudFormation did to it last."""

    kind: str
    name: str
    status: str

    @property
    def there(self) -> bool:
        """Whether it has not been deleted."""
        return self.status != "DELETE_COMPLETE"


def named(resources: Sequence[Resource], kind: str) -> list[str]:
    """Return the names of the resources of a type that are there."""
    return [one.name for one in resources if one.kind == kind and one.there]


class Contents:
    """What is in a stack, and what runs and submissions have made beside it under its names.

    Args:
        stack: The stack's name.
        region: Its region.
        poll_seconds: How often to look while jobs end.
        patience: Seconds to wait for them, and for a queue.
    """

    def __init__(
        self, stack: str, region: str, poll_seconds: float, *, patience: float = _PATIENCE
    ) -> None:
        self._stack, self._poll_seconds, self._patience = stack, poll_seconds, patience
        clients = Clients(region)
        self._batch, self._s3, self._sqs, self._ecr = (
            clients.batch,
            clients.s3,
            clients.sqs,
            clients.ecr(),
        )
        self._deleted: set[str] = set()  # SQS lists a queue for up to a minute after it was deleted

    def delete(self, resources: Sequence[Resource]) -> Iterator[Step]:
        """Delete all of it; takes place as the records of it are looked at.

        Raises:
            StackError: An object or an image cannot be deleted.
        """
        yield from self._end_jobs(named(resources, JOB_QUEUE))
        yield from self.delete_beside(resources)
        for bucket in named(resources, BUCKET):
            yield from self.delete_objects(bucket)
        for repository in named(resources, REPOSITORY):
            yield from _counted(
                self._delete_images(repository), "image", "images", f" of repository {repository}"
            )

    def delete_beside(self, resources: Sequence[Resource]) -> Iterator[Step]:
        """Delete what is not in the stack, but named after it: also what main scripts make while the stack goes."""
        yield from self._deregister_others(resources)
        yield from _counted(self._delete_run_queues(), "queue of runs", "queues of runs")

    def delete_renamed(self, before: Sequence[Resource], now: Sequence[Resource]) -> Iterator[Step]:
        """Deregister what is left under names of job definitions that the stack had before, and has no longer."""
        kept = {_definition_name(arn) for arn in named(now, JOB_DEFINITION)}
        yield from self._deregister_others(
            [one for one in before if _definition_name(one.name) not in kept]
        )

    # Looking

    def environments(self, resources: Sequence[Resource]) -> dict[str, str]:
        """Return what Batch says about each compute environment."""
        arns = named(resources, COMPUTE_ENVIRONMENT)
        if not arns:  # asking for none would be asking for all
            return {}
        found = self._batch.describe_compute_environments(computeEnvironments=arns)[
            "computeEnvironments"
        ]
        said = {
            one["computeEnvironmentArn"]: (
                f"{one.get('state')}, {one.get('status')}: {one.get('statusReason', 'no reason given')}"
            )
            for one in found
        }
        return {arn.rpartition("/")[2]: said.get(arn, "gone") for arn in arns}

    def unfinished(self, resources: Sequence[Resource]) -> dict[str, str]:
        """Return the state of each job that has not ended, by its id."""
        return self._unfinished(
            [queue for queue in named(resources, JOB_QUEUE) if self._status(queue) is not None]
        )

    def images(self, resources: Sequence[Resource]) -> dict[str, dt.datetime | None]:
        """Return for each repository when its latest image was pushed; None if there is none."""
        return {name: self._pushed(name) for name in named(resources, REPOSITORY)}

    def _pushed(self, repository: str) -> dt.datetime | None:
        with _missing_is_fine("RepositoryNotFoundException"):
            pages = self._ecr.get_paginator("describe_images").paginate(repositoryName=repository)
            times = [
                one["imagePushedAt"]
                for page in pages
                for one in page["imageDetails"]
                if one.get("imagePushedAt")
            ]
            return max(times, default=None)
        return None

    def run_count(self, resources: Sequence[Resource]) -> int:
        """Return how many runs have objects in the bucket."""
        return sum(self._run_count(bucket) for bucket in named(resources, BUCKET))

    def _run_count(self, bucket: str) -> int:
        with _missing_is_fine("NoSuchBucket"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix="runs/", Delimiter="/"
            )
            return sum(len(page.get("CommonPrefixes", [])) for page in pages)
        return 0

    # Jobs

    def _unfinished(self, queues: Sequence[str]) -> dict[str, str]:
        lister = self._batch.get_paginator("list_jobs")
        # A job that changes its state meanwhile is seen twice: the later state counts.
        return {
            job["jobId"]: status
            for status in UNFINISHED
            for queue in queues
            for page in lister.paginate(jobQueue=queue, jobStatus=status)
            for job in page["jobSummaryList"]
        }

    def _end_jobs(self, queues: Sequence[str]) -> Iterator[Step]:
        queues = [queue for queue in queues if self._settled(queue)]
        for queue in queues:
            self._batch.update_job_queue(jobQueue=queue, state="DISABLED")  # no new ones
        jobs = self._unfinished(queues)
        for job in jobs:
            self._batch.terminate_job(jobId=job, reason=f"Stack {self._stack} is being deleted")
        if jobs:
            yield Step(f"Ending {number_of(len(jobs), 'job', 'jobs')}")
        deadline = time.monotonic() + self._patience
        while jobs and time.monotonic() < deadline:
            time.sleep(min(self._poll_seconds, 1.0))
            jobs = self._unfinished(queues)
        if jobs:
            yield Step(
                f"Not ended after {self._patience:g} s: {number_of(len(jobs), 'job', 'jobs')}; going on"
            )
        for queue in queues:
            self._settled(queue)  # Batch deletes no queue that is still being disabled

    def _settled(self, queue: str) -> bool:
        """Wait until a queue can be changed or deleted; say whether it is there at all."""
        deadline = time.monotonic() + self._patience
        while (status := self._status(queue)) in (
            "CREATING",
            "UPDATING",
        ) and time.monotonic() < deadline:
            time.sleep(min(self._poll_seconds, 1.0))
        return status is not None

    def _status(self, queue: str) -> str | None:
        found = self._batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
        return next(
            (one["status"] for one in found if one["status"] not in ("DELETING", "DELETED")), None
        )

    # Job definitions

    def _deregister_others(self, resources: Sequence[Resource]) -> Iterator[Step]:
        """Deregister all but the revisions that CloudFormation has."""
        own = named(resources, JOB_DEFINITION)
        others = [arn for arn in self._definitions(resources) if arn not in own]
        for arn in others:
            self._batch.deregister_job_definition(jobDefinition=arn)
        yield from _counted(len(others), "old job definition", "old job definitions")

    def _definitions(self, resources: Sequence[Resource]) -> list[str]:
        """Return the active revisions of the stack's job definitions, and of copies that submissions have made."""
        names = {_definition_name(arn) for arn in named(resources, JOB_DEFINITION)}
        ours = re.compile(f"({'|'.join(map(re.escape, names))})(-{RUN_ID})?")
        pages = self._batch.get_paginator("describe_job_definitions").paginate(status="ACTIVE")
        found = (one["jobDefinitionArn"] for page in pages for one in page["jobDefinitions"])
        return [arn for arn in found if names and ours.fullmatch(_definition_name(arn))]

    # Queues, objects, images

    def _run_queues(self) -> list[str]:
        ours = queue_pattern(self._stack)
        pages = self._sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix=queue_prefix(self._stack), PaginationConfig={"PageSize": 1000}
        )
        urls = (url for page in pages for url in page.get("QueueUrls", []))
        return [url for url in urls if ours.fullmatch(url.rpartition("/")[2])]

    def _delete_run_queues(self) -> int:
        urls = [url for url in self._run_queues() if url not in self._deleted]
        for url in urls:
            try:
                self._sqs.delete_queue(QueueUrl=url)
            except botocore.exceptions.ClientError as error:
                if not is_missing_queue(error):
                    raise
            self._deleted.add(url)
        return len(urls)

    def delete_objects(self, bucket: str) -> Iterator[Step]:
        """Delete all versions of all objects of a bucket, if it is there.

        Raises:
            StackError: One cannot be deleted.
        """
        deleted = 0
        with _missing_is_fine("NoSuchBucket"):
            while True:
                page = self._s3.list_object_versions(Bucket=bucket, MaxKeys=_OBJECTS_AT_ONCE)
                listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                keys: Any = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
                if not keys:
                    break
                errors = self._s3.delete_objects(
                    Bucket=bucket, Delete={"Objects": keys, "Quiet": True}
                )
                for error in errors.get("Errors", []):
                    raise StackError(
                        f"Cannot delete {error['Key']} of bucket {bucket}: {error['Message']}"
                    )
                deleted += len(keys)
        yield from _counted(deleted, "object", "objects", f" of bucket {bucket}")

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
                        imageIds=[
                            {"imageDigest": one} for one in digests[start : start + _IMAGES_AT_ONCE]
                        ],
                    )
                    done += len({one["imageDigest"] for one in answer["imageIds"]})
                    failures += answer["failures"]
                deleted += done
                if failures and not done:
                    raise StackError(
                        f"Cannot delete images of {repository}: {failures[0]['failureReason']}"
                    )
                if not failures:
                    break
        return deleted


def _definition_name(arn: str) -> str:
    """Return the name in a job definition's ARN, which ends in its revision."""
    return arn.rpartition("/")[2].partition(":")[0]


def _counted(count: int, one: str, many: str, where: str = "") -> Iterator[Step]:
    if count:
        yield Step(f"Deleted {number_of(count, one, many)}{where}")


def number_of(count: int, one: str, many: str) -> str:
    """Return "1 job" or "2 jobs"."""
    return f"{count} {one if count == 1 else many}"


@contextlib.contextmanager
def _missing_is_fine(*codes: str) -> Iterator[None]:
    """Go on if AWS says that a thing does not exist."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in codes:
            raise
