"""Outages: requests that are slow, throttled, dropped, or answered by something else than AWS.

A layer of the server, between HTTP and the services. It also tells `Unkindness` which service a
request is for. A client whose user agent has `SPARED` in it, an instrument of tests for instance,
is treated kindly.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from . import unkind
from .options import SPARED
from .unkind import Unkindness

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["outages"]

_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/")
_LOGIN_PAGE: Final = b"<!DOCTYPE html>\n<html><body>Please log in<br></body></html>"

# What a service says when there are too many requests: status, code and message.
_THROTTLED: Final = {
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    "s3": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    # .../AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html; aws/aws-sdk-cpp#1077
    "sqs": ("400 Bad Request", "RequestThrottled", "Request is throttled."),
    # Netflix/metaflow#138, ASFHyP3/hyp3#1676
    "batch": ("429 Too Many Requests", "TooManyRequestsException", "Too Many Requests"),
}
# .../AWSCloudFormation/latest/APIReference/CommonErrors.html
_THROTTLED_QUERY: Final = ("400 Bad Request", "Throttling", "Rate exceeded")
# .../AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html; ECR has the same page
_THROTTLED_JSON: Final = ("400 Bad Request", "ThrottlingException", "Rate exceeded")

_FAILED: Final = {
    "s3": ("500 Internal Server Error", "InternalError", "We encountered an internal error."),
    "sqs": ("500 Internal Server Error", "InternalFailure", "An internal failure occurred."),
    "batch": ("500 Internal Server Error", "ServerException", "An internal error occurred."),
}
_FAILED_OTHERS: Final = ("500 Internal Server Error", "InternalFailure", "Internal failure.")
_QUERY: Final = {"cloudformation", "iam", "sts"}  # services that answer with XML, as S3 does


def outages(app: "WSGIApplication", unkindness: Unkindness) -> "WSGIApplication":
    """Return the application, with outages between it and its clients."""

    def answered(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        service = _service_of(environ)
        with unkindness.during(service):
            return _answer(app, unkindness, service, environ, start_response)

    return answered


def _answer(
    app: "WSGIApplication",
    unkindness: Unkindness,
    service: str,
    environ: "WSGIEnvironment",
    start_response: "StartResponse",
) -> Iterable[bytes]:
    happens = unkindness.happens
    time.sleep(unkindness.seconds(unkind.SLOW))
    if happens(unkind.DROPPED):
        raise ConnectionError
    if happens(unkind.THROTTLED):
        return _error(service, _throttled(service), start_response)
    if happens(unkind.SERVER_ERROR):
        return _error(service, _FAILED.get(service, _FAILED_OTHERS), start_response)
    if happens(unkind.HTML):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [_LOGIN_PAGE]
    started: list[Any] = []
    chunks = app(environ, lambda *given: started.append(given))  # type: ignore[arg-type]  # nobody calls what it returns
    status, headers = started[-1][:2]
    submitted = environ["PATH_INFO"].endswith("/submitjob")
    if happens(unkind.ANSWER_LOST) or (submitted and happens(unkind.SUBMIT_LOST)):
        raise ConnectionError
    if happens(unkind.CUT):
        _send_half(environ, status, headers, b"".join(chunks))
    start_response(status, headers)
    return chunks


def _service_of(environ: "WSGIEnvironment") -> str:
    """Return the service that a request is signed for; empty if it is to be spared."""
    if SPARED in environ.get("HTTP_USER_AGENT", ""):
        return ""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope.group(1) if scope else ""


def _throttled(service: str) -> tuple[str, str, str]:
    return _THROTTLED.get(service, _THROTTLED_QUERY if service in _QUERY else _THROTTLED_JSON)


def _error(
    service: str, error: tuple[str, str, str], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    status, code, message = error
    if service == "s3" or service in _QUERY:
        start_response(status, [("Content-Type", "application/xml")])
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return [(body if service == "s3" else f"<ErrorResponse>{body}</ErrorResponse>").encode()]
    start_response(
        status, [("Content-Type", "application/x-amz-json-1.0"), ("x-amzn-ErrorType", code)]
    )
    return [json.dumps({"__type": f"com.amazonaws.{service}#{code}", "message": message}).encode()]


def _send_half(
    environ: "WSGIEnvironment", status: str, headers: list[tuple[str, str]], body: bytes
) -> NoReturn:
    """Send half of an answer's body, and drop the connection."""
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in headers if name.lower() != "content-length"),
        f"Content-Length: {len(body)}",
    ]
    if environ["REQUEST_METHOD"] != "HEAD":
        head = "\r\n".join([*lines, "", ""]).encode()
        environ["werkzeug.socket"].sendall(head + body[: len(body) // 2])
    raise ConnectionError
