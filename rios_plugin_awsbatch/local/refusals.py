"""How AWS's services refuse a request: code, status and sentence, each in its own format."""

import dataclasses
import json
from typing import Final
from xml.sax.saxutils import escape

from .iam import Access, Decision

__all__ = ["EXPIRED", "UNKNOWN_KEY", "UNSIGNED", "Refusal", "denial", "http_answer"]

_FORBIDDEN: Final = "403 Forbidden"
_BAD: Final = "400 Bad Request"
# Services that answer a refusal with status 400, as they do to any error of the client.
_COMPLAINING: Final = {"ecr", "logs"}
_JSON: Final = {"batch", "ecr", "logs", "sqs"}


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        message: The sentence.
        codes: The code in S3, in services with XML, and in services with JSON.
    """

    message: str
    codes: tuple[str, str, str] = ("AccessDenied", "AccessDenied", "AccessDeniedException")


EXPIRED: Final = Refusal(
    "The security token included in the request is expired",
    ("ExpiredToken", "ExpiredToken", "ExpiredTokenException"),
)
UNKNOWN_KEY: Final = Refusal(
    "The security token included in the request is invalid.",
    ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"),
)
UNSIGNED: Final = Refusal(
    "Missing Authentication Token",
    ("AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
)


def denial(arn: str, service: str, access: Access, decision: Decision) -> Refusal:
    """Return the refusal of what policies do not allow, in AWS's words.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html

    Args:
        arn: The caller's ARN.
        service: The service that was called.
        access: What was not allowed.
        decision: Why.
    """
    action = access.action.lower() if service == "sqs" else access.action
    why = (
        "with an explicit deny in an identity-based policy"
        if decision.denied
        else f"because no identity-based policy allows the {action} action"
    )
    resource = f'"{access.resource}"' if service == "s3" else access.resource
    return Refusal(
        f"User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"
    )


def http_answer(
    service: str, method: str, refusal: Refusal
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body with which a service refuses a request."""
    s3, xml, plain = refusal.codes
    if service == "s3":
        return _s3(method, s3, refusal.message)
    if service not in _JSON:
        return _xml(xml, refusal.message)
    status = _BAD if service in _COMPLAINING else _FORBIDDEN
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": plain}
    if service == "sqs":  # it keeps the codes of its former protocol
        headers["x-amzn-query-error"] = f"{xml};Sender"
        headers["Content-Type"] = "application/x-amz-json-1.0"
    body = json.dumps({"__type": plain, "message": refusal.message}).encode()
    return status, list(headers.items()), body


def _s3(method: str, code: str, message: str) -> tuple[str, list[tuple[str, str]], bytes]:
    # S3 alone calls an expired session a bad request.
    status = _BAD if code == "ExpiredToken" else _FORBIDDEN
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = b"" if method == "HEAD" else _document(text)
    return status, [("Content-Type", "application/xml")], body


def _xml(code: str, message: str) -> tuple[str, list[tuple[str, str]], bytes]:
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
        f"<Message>{escape(message)}</Message></Error><RequestId>-</RequestId></ErrorResponse>"
    )
    return _FORBIDDEN, [("Content-Type", "text/xml")], _document(text)


def _document(text: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
