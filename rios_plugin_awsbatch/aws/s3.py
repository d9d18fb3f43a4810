"""Helpers for S3, and for requests in batches."""

import datetime as dt
import email.utils
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["DELETE_KEYS", "age_of", "folders_in", "in_batches"]


# How many keys one request takes:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
DELETE_KEYS: Final = 1000


def age_of(modified: dt.datetime | None, answer: Any) -> float:
    """Return how many seconds ago an object was written, by S3's clock; ours may be wrong.

    Args:
        modified: When it was written; None for no object, whose age is 0.
        answer: Any answer of S3's; its headers tell the time.
    """
    now = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return 0.0 if modified is None else (now - modified).total_seconds()


def folders_in(s3: "S3Client", bucket: str, prefix: str) -> list[str]:
    """Return the names of the "folders" directly under a prefix, without slashes.

    Args:
        s3: The client.
        bucket: The bucket.
        prefix: With a slash at its end.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/"
    )
    found = [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", [])]
    return [name.removeprefix(prefix).rstrip("/") for name in found]


def in_batches(items: Sequence[str], count: int, size: int | None = None) -> Iterator[list[str]]:
    """Split `items` into lists of at most `count` items and, if given, `size` characters."""
    batch: list[str] = []
    total = 0
    for item in items:
        if batch and (len(batch) == count or (size is not None and total + len(item) > size)):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += len(item)
    if batch:
        yield batch
