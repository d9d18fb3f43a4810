"""Payloads in the bucket, under the prefix of one run."""

from typing import TYPE_CHECKING, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.errors import (
    is_denied,
    is_missing_object,
    is_passing,
    sentence_for,
)
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.aws.s3 import DELETE_KEYS, in_batches
from rios_plugin_awsbatch.errors import AWSBatchException, PayloadError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["PayloadStore"]

# boto3 retries until an answer begins. A connection that drops in the middle of the body is ours.
_CUT: Final = (
    botocore.exceptions.IncompleteReadError,
    botocore.exceptions.ResponseStreamingError,
    botocore.exceptions.ReadTimeoutError,
)


class PayloadStore:
    """Payloads under one prefix of the bucket.

    Args:
        s3: The client.
        bucket: The bucket's name.
        prefix: The run's prefix, with a slash at its end.
        renewal: Says whether to wait for credentials that have ended.
    """

    def __init__(
        self, s3: "S3Client", bucket: str, prefix: str, renewal: Renewal | None = None
    ) -> None:
        self._s3 = s3
        self._renewal = renewal
        self.bucket = bucket
        self.prefix = prefix

    def put(self, name: str, data: bytes) -> str:
        """Store `data` as `name`; return its key."""
        key = self.prefix + name
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return key

    def get(self, key: str, *, patient: bool = True) -> bytes:
        """Return the bytes under `key`.

        Args:
            key: The key.
            patient: Whether to wait for the end of an outage.

        Raises:
            PayloadError: There is no such object, or `key` is outside the run's prefix.
        """
        if not key.startswith(self.prefix):
            raise PayloadError(
                f"A message points to {key}, which is outside {self.prefix} of bucket "
                f"{self.bucket}."
            )
        try:
            if not patient:
                return self._read(key)
            patience = Patience(passes=_may_pass, renewal=self._renewal)
            return patience.call(lambda: self._read(key))
        except botocore.exceptions.ClientError as error:
            if is_missing_object(error):
                raise PayloadError(
                    f"Payload {key} is no longer in bucket {self.bucket}. The run has ended, or "
                    "the bucket's lifecycle rule expires objects too early."
                ) from None
            if is_denied(error):  # also if it is missing, to those who may not list the bucket
                raise PayloadError(
                    f"Payload {key} cannot be read from bucket {self.bucket}: either it is no "
                    "longer there, because the run has ended or the bucket's lifecycle rule "
                    f"expires objects too early, or {sentence_for(error)}"
                ) from None
            raise

    def clear(self, *, keep: str = "") -> None:
        """Delete everything under the prefix.

        Args:
            keep: The name of an object that stays.

        Raises:
            AWSBatchException: An object cannot be deleted.
        """
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix
        )
        for page in pages:
            keys = [item["Key"] for item in page.get("Contents", [])]
            keys = [key for key in keys if not keep or key != self.prefix + keep]
            for batch in in_batches(keys, DELETE_KEYS):
                self._delete(batch)

    def _read(self, key: str) -> bytes:
        return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def _delete(self, keys: list[str]) -> None:
        answer = self._s3.delete_objects(
            Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        for error in answer.get("Errors", []):
            raise AWSBatchException(
                f"{error.get('Key')} of bucket {self.bucket} cannot be deleted: "
                f"{error.get('Message')}"
            )


def _may_pass(error: Exception) -> bool:
    return isinstance(error, _CUT) or is_passing(error)
