"""AWS's error codes, by what they mean."""

from typing import Final

from botocore.retries import standard

__all__ = ["DENIED", "NOT_SIGNED_UP", "SIGNATURE", "SKEW", "STALE", "is_throttling"]

# https://docs.aws.amazon.com/awssupport/latest/APIReference/CommonErrors.html and
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
STALE: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
# The time of a request is signed too.
SKEW: Final = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
SIGNATURE: Final = SKEW | {
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignature",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
}
DENIED: Final = frozenset(
    {
        "403",  # of a HEAD request
        "AccessDenied",
        "AccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
NOT_SIGNED_UP: Final = frozenset(
    {"NotSignedUp", "OptInRequired", "PendingVerification", "SubscriptionRequiredException"}
)
# botocore has no public name for its own list.
_BOTOCORE: Final = frozenset(
    [
        *getattr(standard.ThrottledRetryableChecker, "_THROTTLED_ERROR_CODES", ()),
        *getattr(standard.TransientRetryableChecker, "_TRANSIENT_ERROR_CODES", ()),
    ]
)
# SQS: API_ReceiveMessage.html, API_SendMessageBatch.html (OverLimit, KmsThrottled); S3: as above.
_SERVICES: Final = frozenset(
    {
        "KMS.ThrottlingException",
        "KmsThrottled",
        "OverLimit",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_THROTTLING: Final = _BOTOCORE | _SERVICES


def is_throttling(code: str) -> bool:
    """Say whether a code means that the same request may be answered a moment later.

    SQS's query protocol has its name before its codes: ``AWS.SimpleQueueService.OverLimit``.
    """
    return code in _THROTTLING or code.removeprefix("AWS.SimpleQueueService.") in _THROTTLING
