"""HTTP requests as calls of AWS's APIs: service, operation and parameters."""

import dataclasses
import json
import re
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["Call", "read_call"]

_Reader: TypeAlias = Callable[
    ["WSGIEnvironment", Mapping[str, str], bytes], tuple[str, Mapping[str, Any]]
]
_SCOPE: Final = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_JSON_TARGETS: Final = {"AmazonSQS", "Logs_20140328", "AmazonEC2ContainerRegistry_V20150921"}
# S3's operations on buckets and objects, by method and by the subresource that the query names.
_S3_BUCKET: Final = {
    ("DELETE", ""): "DeleteBucket",
    ("GET", ""): "ListObjects",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "versions"): "ListObjectVersions",
    ("HEAD", ""): "HeadBucket",
    ("POST", "delete"): "DeleteObjects",
    ("PUT", ""): "CreateBucket",
}
_S3_OBJECT: Final = {
    ("DELETE", ""): "DeleteObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", ""): "GetObject",
    ("GET", "uploadId"): "ListParts",
    ("HEAD", ""): "HeadObject",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", ""): "PutObject",
    ("PUT", "uploadId"): "UploadPart",
}
# Query parameters of S3 that name no subresource.
_S3_PLAIN: Final = re.compile(
    r"(X-Amz-|x-id$|response-|prefix$|marker$|max-keys$|delimiter$|encoding-type$|"
    r"continuation-token$|start-after$|fetch-owner$|partNumber$|versionId$|key-marker$|"
    r"upload-id-marker$|version-id-marker$|max-uploads$|AWSAccessKeyId$|Signature$|Expires$)",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of an API.

    Attributes:
        key: The id of the access key that signed it; empty if nobody did.
        region: The region of the signature.
        service: The service, as in signatures.
        operation: The operation, as in boto3's models; for S3, its method and subresource if the
            embedded AWS has no name for it.
        parameters: Its parameters. Those of S3 are the query, with ``Bucket``, ``Key`` and, for
            DeleteObjects, ``Objects``.
    """

    key: str
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any]


def read_call(environ: "WSGIEnvironment", body: bytes) -> Call:
    """Return which API a request calls, and how."""
    query = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    signature = environ.get("HTTP_AUTHORIZATION") or f"Credential={query.get('X-Amz-Credential')}"
    scope = _SCOPE.search(signature)
    key, region, service = scope.groups() if scope else (query.get("AWSAccessKeyId", ""), "", "s3")
    read: _Reader = _READERS.get(service, _read_query)
    operation, parameters = read(environ, query, body)
    return Call(key, region, service, operation, parameters)


def _read_json(
    environ: "WSGIEnvironment", query: Mapping[str, str], body: bytes
) -> tuple[str, Mapping[str, Any]]:
    """Read a call of a service with JSON; SQS once had another protocol."""
    service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
    if service not in _JSON_TARGETS:
        return _read_query(environ, query, body)
    return operation, _object(body)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        return {}  # moto says what is wrong
    return parameters if isinstance(parameters, dict) else {}


def _read_query(
    _environ: "WSGIEnvironment", query: Mapping[str, str], body: bytes
) -> tuple[str, Mapping[str, Any]]:
    form = urllib.parse.parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    parameters = {**query, **dict(form)}
    return parameters.get("Action", ""), parameters


def _read_batch(
    environ: "WSGIEnvironment", _query: Mapping[str, str], body: bytes
) -> tuple[str, Mapping[str, Any]]:
    """Read a call of Batch: the operation's name in lower case is in the path."""
    path = environ["PATH_INFO"].removeprefix("/v1/")
    if path.startswith("tags/"):
        method = environ["REQUEST_METHOD"]
        operation = {"GET": "listtagsforresource", "POST": "tagresource"}.get(
            method, "untagresource"
        )
        arn = urllib.parse.unquote(path.removeprefix("tags/"))
        return operation, {**_object(body), "resourceArn": arn}
    return path, _object(body)


def _read_s3(
    environ: "WSGIEnvironment", query: Mapping[str, str], body: bytes
) -> tuple[str, Mapping[str, Any]]:
    method = environ["REQUEST_METHOD"]
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    key = key.encode("latin-1", "replace").decode(errors="replace")  # WSGI's own encoding of paths
    named = [name for name in query if not _S3_PLAIN.match(name)]
    subresource = named[0] if named else ""
    parameters: dict[str, Any] = {**query, "Bucket": bucket, "Key": key}
    if not bucket:
        return "ListBuckets", parameters
    operations = _S3_OBJECT if key else _S3_BUCKET
    operation = operations.get((method, subresource), f"{method} {subresource}".strip())
    if operation == "DeleteObjects":
        parameters["Objects"] = _deleted(body)
    if operation in {"PutObject", "UploadPart"} and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        parameters["CopySource"] = urllib.parse.unquote(environ["HTTP_X_AMZ_COPY_SOURCE"])
    return operation, parameters


def _deleted(body: bytes) -> list[dict[str, str | None]]:
    """Return the objects that a DeleteObjects request names."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - moto parses the same body, of a local process
    except ET.ParseError:
        return []
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    return [
        {name: one.findtext(f"{space}{name}") for name in ("Key", "VersionId")}
        for one in root.iter(f"{space}Object")
    ]


_READERS: Final[Mapping[str, _Reader]] = {
    "batch": _read_batch,
    "ecr": _read_json,
    "logs": _read_json,
    "s3": _read_s3,
    "sqs": _read_json,
}
