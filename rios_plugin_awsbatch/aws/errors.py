"""What boto3's errors mean and what to do about them, by class and code, never by their words."""

import contextlib
from collections.abc import Iterator
from typing import Final

import botocore.exceptions
import botocore.parsers
import s3transfer.exceptions

from rios_plugin_awsbatch.errors import AWSBatchException

__all__ = [
    "AWS_ERRORS",
    "AnswerError",
    "error_code",
    "explained",
    "is_denied",
    "is_missing_object",
    "is_missing_queue",
    "is_missing_stack",
    "is_passing",
    "is_refused",
    "sentence_for",
]


class AnswerError(botocore.exceptions.BotoCoreError):
    """Something else than AWS's answer came back: a proxy's HTML, or half an answer."""

    fmt = (
        "the answer to {operation} did not come from AWS's {service} service (it begins {body}); "
        "look for a proxy, a login page or a cut connection between here and AWS"
    )


# What clients raise. The error of botocore's parsers does not have the root of all the others.
AWS_ERRORS: Final = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    botocore.parsers.ResponseParserError,
    s3transfer.exceptions.RetriesExceededError,
)
_UNREACHABLE: Final = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
_NO_ANSWER: Final = (AnswerError, botocore.parsers.ResponseParserError)
_NO_CREDENTIALS: Final = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
)
_LOGGED_OUT: Final = (
    botocore.exceptions.SSOError,
    botocore.exceptions.TokenRetrievalError,
    *filter(None, [getattr(botocore.exceptions, "LoginError", None)]),  # since botocore 1.41
)
_MISTAKES: Final = (
    *_NO_CREDENTIALS,
    *_LOGGED_OUT,
    botocore.exceptions.ProfileNotFound,
    botocore.exceptions.CredentialRetrievalError,
)
# The first class that an error belongs to decides.
_SENTENCES: Final = (
    (AWSBatchException, "{error}"),
    (_NO_CREDENTIALS, "there are no AWS credentials; run `aws configure`, or set AWS_PROFILE."),
    (
        botocore.exceptions.ProfileNotFound,
        "{error}; correct AWS_PROFILE, or add the profile with `aws configure`.",
    ),
    (
        _LOGGED_OUT,
        "you are not logged in to AWS ({error}); run `aws sso login`, with your --profile if any.",
    ),
    (
        botocore.exceptions.CredentialRetrievalError,
        "the AWS credentials cannot be retrieved ({error}); log in again, or check the profile.",
    ),
    (_UNREACHABLE, "AWS cannot be reached ({error})."),
)
_STALE: Final = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "UnrecognizedClientException",
}
_DENIED: Final = {"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_THROTTLED: Final = {
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_SERVER_ERROR: Final = 500


def sentence_for(error: Exception) -> str:
    """Say what an error of boto3's means and what to do, where that is known."""
    code = error_code(error)
    if code in _STALE:
        return f"AWS does not accept the credentials ({code}); renew them."
    if code in _DENIED:
        return f"these credentials do not allow that ({error})."
    matching = (sentence for kinds, sentence in _SENTENCES if isinstance(error, kinds))
    return next(matching, "{error}").format(error=error)


@contextlib.contextmanager
def explained(kind: type[AWSBatchException], what: str) -> Iterator[None]:
    """Turn an error of boto3's into one of `kind`: `what` failed, and why.

    What the user has to mend is told without boto3's frames, which say nothing more.
    """
    try:
        yield
    except AWS_ERRORS as error:
        cause = None if _is_mistake(error) else error
        raise kind(f"{what}: {sentence_for(error)}") from cause


def _is_mistake(error: Exception) -> bool:
    """Say whether credentials are missing, wrong or too old."""
    return isinstance(error, _MISTAKES) or error_code(error) in _STALE


def error_code(error: Exception) -> str:
    """Return AWS's code of an error, "NoSuchKey" for instance; empty if AWS did not answer."""
    if not isinstance(error, botocore.exceptions.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing_object(error: Exception) -> bool:
    """Say whether S3 has no such object; the answer to a HEAD request has no code of its own."""
    return error_code(error) in {"404", "NoSuchKey"}


def is_denied(error: Exception) -> bool:
    """Say whether the caller's policies do not allow something.

    S3 says so of a missing object, too, to those who may not list the bucket: workers.
    """
    return error_code(error) in _DENIED


def is_missing_queue(error: Exception) -> bool:
    """Say whether a queue does not exist, or no longer exists."""
    return error_code(error).endswith(("NonExistentQueue", "QueueDoesNotExist"))


def is_missing_stack(error: Exception) -> bool:
    """Say whether DescribeStacks, asked for one stack by a valid name, found none.

    CloudFormation has no code of its own for that; a valid name leaves nothing else that could be
    a ValidationError.
    """
    return error_code(error) == "ValidationError"


def is_refused(error: Exception) -> bool:
    """Say whether AWS has answered that it does not do it, now or ever; else it may be done."""
    if not isinstance(error, botocore.exceptions.ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 0 < status < _SERVER_ERROR


def is_passing(error: Exception) -> bool:
    """Say whether an outage may pass: no connection, throttling, or trouble within AWS."""
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or error_code(error) in _THROTTLED
    return isinstance(error, _UNREACHABLE + _NO_ANSWER)
