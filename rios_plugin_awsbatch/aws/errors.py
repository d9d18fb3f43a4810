"""What boto3's errors mean and what to do about them, by class and code, never by their words."""

import contextlib
import email.utils
import time
from collections.abc import Iterator
from typing import Final

import botocore.exceptions
import botocore.parsers
import s3transfer.exceptions

from rios_plugin_awsbatch.errors import AWSBatchException

from . import codes
from .configuration import ConfigurationError

__all__ = [
    "AWS_ERRORS",
    "AnswerError",
    "error_code",
    "explained",
    "is_credentials_code",
    "is_denied",
    "is_endpoint_hiccup",
    "is_lapse",
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
_LOGGED_OUT: Final = (
    botocore.exceptions.SSOError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.NoAuthTokenError,
    botocore.exceptions.LoginError,
)
# What the user mends in a file or a variable; a wrong region is one of them.
_MISCONFIGURED: Final = (
    ConfigurationError,
    botocore.exceptions.ConfigNotFound,
    botocore.exceptions.ConfigParseError,
    botocore.exceptions.InvalidChecksumConfigError,
    botocore.exceptions.InvalidConfigError,
    botocore.exceptions.InvalidDefaultsMode,
    botocore.exceptions.InvalidEndpointConfigurationError,
    botocore.exceptions.InvalidEndpointDiscoveryConfigurationError,
    botocore.exceptions.InvalidIMDSEndpointError,
    botocore.exceptions.InvalidIMDSEndpointModeError,
    botocore.exceptions.InvalidProxiesConfigError,
    botocore.exceptions.InvalidRetryConfigurationError,
    botocore.exceptions.InvalidS3AddressingStyleError,
    botocore.exceptions.InvalidS3UsEast1RegionalEndpointConfigError,
    botocore.exceptions.InvalidSTSRegionalEndpointsConfigError,
    botocore.exceptions.UnknownCredentialError,
    botocore.exceptions.UnknownSignatureVersionError,
    # Not in the oldest botocore of our range.
    *filter(None, [getattr(botocore.exceptions, "UnknownTokenProviderError", None)]),
    botocore.exceptions.UnsupportedS3ConfigurationError,
    botocore.exceptions.UnsupportedSignatureVersionError,
)
_REGION: Final = (
    botocore.exceptions.BaseEndpointResolverError,
    botocore.exceptions.EndpointProviderError,
    botocore.exceptions.InvalidRegionError,
    botocore.exceptions.ServiceNotInRegionError,
    botocore.exceptions.UnknownRegionError,
)
_NOT_RETRIEVED: Final = (
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.MetadataRetrievalError,
    botocore.exceptions.RefreshWithMFAUnsupportedError,
)
# The first class that an error belongs to decides.
_ADVICE: Final = (
    (
        botocore.exceptions.NoCredentialsError,
        "there are no AWS credentials; run `aws configure`, or set AWS_PROFILE.",
    ),
    (
        botocore.exceptions.PartialCredentialsError,
        "there are no AWS credentials; run `aws configure`, or set AWS_PROFILE. ({error}.)",
    ),
    (
        botocore.exceptions.ProfileNotFound,
        "{error}; correct AWS_PROFILE, or add the profile with `aws configure`.",
    ),
    (
        _LOGGED_OUT,
        (
            "you are not logged in to AWS ({error}); run `aws sso login` (or `aws login`, if that "
            "is how you log in), with your --profile if any."
        ),
    ),
    (
        _NOT_RETRIEVED,
        "the AWS credentials cannot be retrieved ({error}); log in again, or check the profile.",
    ),
    (ConfigurationError, "{error}."),
    (
        _REGION,
        (
            "the region cannot be used ({error}); correct RIOS_AWSBATCH_REGION, AWS_REGION or the "
            "profile's region."
        ),
    ),
    (
        _MISCONFIGURED,
        (
            "the AWS configuration cannot be used ({error}); correct the profile in ~/.aws/config, "
            "or the variable that says so."
        ),
    ),
    (
        botocore.exceptions.MissingDependencyException,
        (
            "AWS cannot be used as configured ({error}); install what is missing, or use "
            "credentials of another kind."
        ),
    ),
    (
        botocore.exceptions.SSLError,
        (
            "AWS cannot be reached ({error}). If a proxy signs connections with a certificate of "
            "its own, name that certificate in AWS_CA_BUNDLE."
        ),
    ),
    (
        botocore.exceptions.ProxyConnectionError,
        "AWS cannot be reached ({error}); correct HTTPS_PROXY, or list AWS in NO_PROXY.",
    ),
    (
        botocore.exceptions.EndpointConnectionError,
        "AWS cannot be reached ({error}); look at the network, and whether there is such a region.",
    ),
    (_UNREACHABLE, "AWS cannot be reached ({error})."),
)
_GETTING_CREDENTIALS: Final = {
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "CreateOAuth2Token",
    "CreateToken",
    "GetRoleCredentials",
}
_ENDPOINTS: Final = {"container-role", "iam-role"}  # botocore's names of these providers
# AWS allows five minutes: https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html
_SKEW_SECONDS: Final = 240.0
_SERVER_ERROR, _TOO_MANY = 500, 429
_MISTAKES: Final = (
    *_LOGGED_OUT,
    *_MISCONFIGURED,
    *_NOT_RETRIEVED,
    *_REGION,
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.ProfileNotFound,
    botocore.exceptions.MissingDependencyException,
)


def sentence_for(error: Exception) -> str:
    """Say what an error of boto3's means and what to do, where that is known."""
    if isinstance(error, AWSBatchException):
        return str(error)
    code = error_code(error)
    if code in codes.STALE:
        return f"AWS does not accept the credentials ({code}); renew them."
    if code in codes.SIGNATURE:
        return _about_signature(error, code)
    if code in codes.DENIED:
        return f"these credentials do not allow that ({error})."
    if code in codes.NOT_SIGNED_UP:
        return f"this AWS account cannot use the service yet ({error}); complete its sign-up."
    matching = (advice for kinds, advice in _ADVICE if isinstance(error, kinds))
    return next(matching, "{error}").format(error=str(error).rstrip("."))


def _about_signature(error: Exception, code: str) -> str:
    """Tell a wrong clock from a wrong key: AWS's answer says what time it is."""
    ahead = _seconds_ahead(error)
    if abs(ahead) > _SKEW_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        return (
            f"AWS does not accept the signature ({code}), as this machine's clock is "
            f"{abs(ahead) / 60:.0f} minutes {way} AWS's; set the clock, by NTP for instance."
        )
    if code in codes.SKEW:
        return (
            f"AWS does not accept the time of the signature ({code}); set this machine's clock, "
            "by NTP for instance."
        )
    return (
        f"AWS does not accept the signature ({code}): the secret access key does not belong to the "
        "key's id, or a proxy changes requests; correct the credentials."
    )


def _seconds_ahead(error: Exception) -> float:
    """Return by how much the clock here is ahead of AWS's; 0 if the answer does not say."""
    metadata = getattr(error, "response", {}).get("ResponseMetadata", {})
    date = metadata.get("HTTPHeaders", {}).get("date", "")
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return 0.0


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
    """Say whether the user has to mend credentials, the configuration or the clock."""
    return isinstance(error, _MISTAKES) or is_credentials_code(error_code(error))


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
    return error_code(error) in codes.DENIED


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


def is_credentials_code(code: str) -> bool:
    """Say whether a code of AWS's is about the credentials or the signature made with them."""
    return code in codes.STALE or code in codes.SIGNATURE


def is_lapse(error: Exception) -> bool:
    """Say whether credentials are missing or no good any more, and may be renewed.

    Whoever begins something is told at once; a run that is under way waits (`Renewal`).
    """
    if isinstance(error, botocore.exceptions.ClientError):
        return (
            is_credentials_code(error_code(error)) or error.operation_name in _GETTING_CREDENTIALS
        )
    # A profile is incomplete while it is rewritten.
    return isinstance(error, _MISTAKES)


def is_endpoint_hiccup(error: Exception) -> bool:
    """Say whether the endpoint that gives a container or a machine its credentials did not."""
    if isinstance(error, botocore.exceptions.CredentialRetrievalError):
        return error.kwargs.get("provider") in _ENDPOINTS
    return isinstance(error, botocore.exceptions.MetadataRetrievalError)


def is_passing(error: Exception) -> bool:
    """Say whether an outage may pass: no connection, throttling, or trouble within AWS."""
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        passing_status = status >= _SERVER_ERROR or status == _TOO_MANY
        return passing_status or codes.is_throttling(error_code(error))
    return isinstance(error, _UNREACHABLE + _NO_ANSWER) or is_endpoint_hiccup(error)
