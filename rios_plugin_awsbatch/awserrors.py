"""What boto3's errors mean, and what to do about them."""

import contextlib
from collections.abc import Iterator
from typing import Final

import botocore.exceptions

from .errors import AWSBatchException

__all__ = ["AWS_ERRORS", "error_code", "explained", "is_missing_queue", "is_passing", "sentence_for"]

AWS_ERRORS: Final = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)  # what clients raise
_STALE = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_THROTTLED = {"SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "TooManyRequestsException"}
_SERVER_ERROR = 500


def sentence_for(error: Exception) -> str:
    """Say what an error of boto3's means and what to do, where that is known."""
    if isinstance(error, AWSBatchException):
        return str(error)
    if isinstance(error, botocore.exceptions.NoCredentialsError | botocore.exceptions.PartialCredentialsError):
        return "there are no AWS credentials; run `aws configure`, or set AWS_PROFILE."
    if isinstance(error, botocore.exceptions.ClientError):
        code = error_code(error)
        if code in _STALE:
            return f"AWS does not accept the credentials ({code}); renew them."
        if code in _DENIED:
            return f"these credentials may not do that ({error})."
    if isinstance(error, botocore.exceptions.HTTPClientError | botocore.exceptions.ConnectionError):
        return f"AWS cannot be reached ({error})."
    return str(error)


@contextlib.contextmanager
def explained(kind: type[AWSBatchException], what: str) -> Iterator[None]:
    """Turn an error of boto3's into one of `kind`: `what` failed, and why."""
    try:
        yield
    except AWS_ERRORS as error:
        raise kind(f"{what}: {sentence_for(error)}") from error


def error_code(error: botocore.exceptions.ClientError) -> str:
    """Return AWS's code of an error, "NoSuchKey" for instance."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing_queue(error: Exception) -> bool:
    """Say whether `error` means that a queue does not exist (any more)."""
    return isinstance(error, botocore.exceptions.ClientError) and error_code(error).endswith(
        ("NonExistentQueue", "QueueDoesNotExist")
    )


def is_passing(error: Exception) -> bool:
    """Say whether `error` is an outage that may pass: no connection, throttling, or trouble within AWS."""
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or error_code(error) in _THROTTLED
    return isinstance(error, botocore.exceptions.HTTPClientError | botocore.exceptions.ConnectionError)
