"""The objects in a stack's bucket."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rios_plugin_awsbatch.aws.names import RUNS
from rios_plugin_awsbatch.aws.s3 import DELETE_KEYS, folders_in
from rios_plugin_awsbatch.errors import StackError

from .lookup import skipped_if_missing
from .records import BUCKET, Resource, Step, deleted, named

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["count_runs", "delete_objects"]


def delete_objects(s3: "S3Client", bucket: str) -> Iterator[Step]:
    """Delete all versions of all objects in a bucket, if it exists.

    Raises:
        StackError: One cannot be deleted.
    """
    count = 0
    with skipped_if_missing("NoSuchBucket"):
        while True:
            page = s3.list_object_versions(Bucket=bucket, MaxKeys=DELETE_KEYS)
            listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            keys: Any = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
            if not keys:
                break
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            for error in answer.get("Errors", []):
                raise StackError(
                    f"Cannot delete {error['Key']} of bucket {bucket}: {error['Message']}"
                )
            count += len(keys)
    yield from deleted(count, "object", "objects", f" of bucket {bucket}")


def count_runs(s3: "S3Client", resources: Sequence[Resource]) -> int:
    """Return how many runs have objects in the stack's bucket."""
    count = 0
    for bucket in named(resources, BUCKET):
        with skipped_if_missing("NoSuchBucket"):
            count += len(folders_in(s3, bucket, RUNS))
    return count
