"""The boto3 clients of one process: made, counted and checked in this one place."""

import collections
import json
import re
import threading
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials

from .configuration import check_files, read_configuration
from .credentials import RenewableCredentials
from .errors import AnswerError, is_credentials_code

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient

__all__ = ["Clients"]

_CONFIG: Final = Config(
    # S3 answers 503 SlowDown while it adapts to the load: keep trying.
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
    tcp_keepalive=True,
)
# For what is not the same when it is done twice; the caller finds out before it asks again.
_UNREPEATED: Final = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
_JSON_SERVICES: Final = {"batch", "ecr", "logs", "sqs"}  # the others answer with XML
_GOOD_STATUS: Final = range(200, 300)
_HTML: Final = re.compile(rb"\s*<(!doctype\s+)?html", re.IGNORECASE)


class Clients:
    """The AWS clients of one process in one region, each made when it is first used.

    Clients are thread-safe, sessions are not. All clients have the same credentials, which are
    looked up again after AWS has refused them.

    Args:
        region: The region of the stack.
        credentials: Credentials to use, instead of those of the environment and the profile.

    Attributes:
        region: As given.
    """

    def __init__(self, region: str, credentials: Credentials | None = None) -> None:
        self.region = region
        self._making = threading.Lock()  # guards `_session` and `_made`
        self._session: boto3.Session | None = None  # reads the user's configuration when made
        self._made: dict[tuple[str, str, bool], Any] = {}
        self._given = credentials
        self._credentials = RenewableCredentials(self._find_credentials)
        self._counting = threading.Lock()  # guards `_requests`
        self._requests: collections.Counter[str] = collections.Counter()

    @property
    def sqs(self) -> "SQSClient":
        """SQS."""
        client: SQSClient = self._client("sqs")
        return client

    @property
    def s3(self) -> "S3Client":
        """S3."""
        client: S3Client = self._client("s3")
        return client

    @property
    def batch(self) -> "BatchClient":
        """AWS Batch."""
        client: BatchClient = self._client("batch")
        return client

    @property
    def batch_unrepeated(self) -> "BatchClient":
        """AWS Batch, for SubmitJob: no request is repeated, as nothing tells a repetition."""
        client: BatchClient = self._client("batch", repeats=False)
        return client

    @property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @property
    def sts(self) -> "STSClient":
        """STS, which tells whose credentials these are."""
        client: STSClient = self._client("sts")
        return client

    def ecr(self, region: str | None = None) -> "ECRClient":
        """ECR, in the region of an image if that is another one."""
        client: ECRClient = self._client("ecr", region)
        return client

    def logs(self, region: str | None = None) -> "CloudWatchLogsClient":
        """CloudWatch Logs, in the region of a log group if that is another one."""
        client: CloudWatchLogsClient = self._client("logs", region)
        return client

    def other(self, service: str) -> Any:
        """Another service, which no run needs."""
        return self._client(service)

    def counted(self) -> "collections.Counter[str]":
        """How many requests have been made, by service and operation: ``sqs.SendMessage``."""
        with self._counting:
            return collections.Counter(self._requests)

    @property
    def requests(self) -> int:
        """How many requests have been made."""
        with self._counting:
            return self._requests.total()

    def _client(self, service: Any, region: str | None = None, *, repeats: bool = True) -> Any:
        identity = (service, region or self.region, repeats)
        if identity not in self._made:
            with self._making, read_configuration():
                if identity not in self._made:
                    session = self._session = self._session or self._new_session()
                    config = _CONFIG if repeats else _UNREPEATED
                    client = session.client(service, region_name=identity[1], config=config)
                    client.meta.events.register("before-send", self._count)
                    # Two wildcards go before botocore's own "before-parse.s3.*", which takes HTML
                    # for an error within S3.
                    client.meta.events.register("before-parse.*.*", _check_answer)
                    client.meta.events.register("after-call", self._check_credentials)
                    self._made[identity] = client
        return self._made[identity]

    def _new_session(self) -> boto3.Session:
        """Make a session; it looks up no credentials, which may take a request."""
        check_files()
        inner = botocore.session.Session()
        inner.register_component("credential_provider", self._credentials)
        return boto3.Session(botocore_session=inner, region_name=self.region)

    def _find_credentials(self) -> Any:
        """Look them up in a session of their own, which reads files and variables as they are."""
        if self._given is not None:
            return self._given
        return boto3.Session(region_name=self.region).get_credentials()

    def _check_credentials(self, parsed: Any, **_: Any) -> None:
        if is_credentials_code(parsed.get("Error", {}).get("Code", "")):
            self._credentials.distrust()

    def _count(self, event_name: str, **_: Any) -> None:
        with self._counting:
            self._requests[event_name.removeprefix("before-send.")] += 1


def _check_answer(operation_model: Any, response_dict: Any, **_: Any) -> None:
    """Refuse what AWS did not answer, so that callers may rely on the keys that AWS documents.

    botocore makes an answer without keys of a proxy's HTML or of half an answer, or fails with a
    KeyError of its own.

    Raises:
        AnswerError: The body is not an answer to this operation.
    """
    body = response_dict["body"]
    good = response_dict["status_code"] in _GOOD_STATUS
    if good and _etag_is_missing(operation_model, response_dict["headers"]):
        known = False
    elif not isinstance(body, bytes):
        known = True  # the bytes of an object, which its reader checks
    elif operation_model.service_model.service_name in _JSON_SERVICES:
        known = _is_json_answer(operation_model, body, good=good)
    else:
        known = not good or _is_xml_answer(operation_model, body)
    if not known:
        raise AnswerError(
            service=operation_model.service_model.service_name,
            operation=operation_model.name,
            body=body[:60] if isinstance(body, bytes) else b"",
        )


# What callers rely on, and the models of some services call optional.
_PROMISED: Final = {
    "CreateQueue": "QueueUrl",
    "DescribeComputeEnvironments": "computeEnvironments",
    "DescribeImages": "imageDetails",
    "DescribeJobDefinitions": "jobDefinitions",
    "DescribeJobQueues": "jobQueues",
    "DescribeJobs": "jobs",
    "GetAuthorizationToken": "authorizationData",
    "GetLogEvents": "events",
    "ListImages": "imageIds",
    "ListJobs": "jobSummaryList",
    "RegisterJobDefinition": "jobDefinitionArn",
    "SubmitJob": "jobId",
}


def _etag_is_missing(operation_model: Any, headers: Any) -> bool:
    """Say whether an answer about an object lacks the header that S3 gives to each of them."""
    shape = operation_model.output_shape
    etag = shape.members.get("ETag") if shape is not None else None
    return etag is not None and "location" in etag.serialization and "etag" not in headers


def _is_json_answer(operation_model: Any, body: bytes, *, good: bool) -> bool:
    if not body.strip():
        return not good or not _has_content(operation_model)
    try:
        answer = json.loads(body.decode())
        promised = _PROMISED.get(operation_model.name)
        return isinstance(answer, dict) and (not good or promised is None or promised in answer)
    except UnicodeDecodeError:
        return False
    except ValueError:
        return not good  # botocore makes an error of the status


def _is_xml_answer(operation_model: Any, body: bytes) -> bool:
    if not body.strip():
        return not _has_content(operation_model)
    shape = operation_model.output_shape
    wrapper = shape.serialization.get("resultWrapper", "") if shape is not None else ""
    return wrapper.encode() in body and not _HTML.match(body)


def _has_content(operation_model: Any) -> bool:
    """Say whether the body of an answer holds something; S3 puts some answers into headers."""
    shape = operation_model.output_shape
    return shape is not None and any(
        "location" not in member.serialization for member in shape.members.values()
    )
