"""The images in a stack's repositories."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rios_plugin_awsbatch.aws.s3 import in_batches
from rios_plugin_awsbatch.errors import StackError

from .lookup import skipped_if_missing
from .records import REPOSITORY, Resource, Step, deleted, named

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

__all__ = ["delete_images", "latest_images"]

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
_DELETED_AT_ONCE: Final = 100
_MISSING: Final = "RepositoryNotFoundException"


def delete_images(ecr: "ECRClient", repository: str) -> Iterator[Step]:
    """Delete all images of a repository, if it exists.

    Raises:
        StackError: One cannot be deleted.
    """
    count = 0
    with skipped_if_missing(_MISSING):
        while True:
            done, failures = _delete_listed(ecr, repository)
            count += done
            # An image can be deleted only after those that refer to it, so failures may pass.
            if failures and not done:
                raise StackError(f"Cannot delete images of {repository}: {failures[0]}")
            if not failures:
                break
    yield from deleted(count, "image", "images", f" of repository {repository}")


def _delete_listed(ecr: "ECRClient", repository: str) -> tuple[int, list[str]]:
    """Try to delete each image once; return how many are deleted, and why others are not."""
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository)
    digests = sorted({one["imageDigest"] for page in pages for one in page["imageIds"]})
    done: set[str] = set()
    failures: list[str] = []
    for batch in in_batches(digests, _DELETED_AT_ONCE):
        answer = ecr.batch_delete_image(
            repositoryName=repository, imageIds=[{"imageDigest": one} for one in batch]
        )
        done |= {one["imageDigest"] for one in answer["imageIds"]}
        failures += [one["failureReason"] for one in answer["failures"]]
    return len(done), failures


def latest_images(ecr: "ECRClient", resources: Sequence[Resource]) -> dict[str, dt.datetime | None]:
    """Return for each repository when its latest image was pushed; None if it has none."""
    return {name: _latest_push(ecr, name) for name in named(resources, REPOSITORY)}


def _latest_push(ecr: "ECRClient", repository: str) -> dt.datetime | None:
    with skipped_if_missing(_MISSING):
        pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
        images = [one for page in pages for one in page["imageDetails"]]
        return max(
            (one["imagePushedAt"] for one in images if one.get("imagePushedAt")), default=None
        )
    return None
