"""The boto3 clients of one process: the one place where they are made, counted and checked."""

import collections
import threading
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from .errors import AnswerError

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
    # 503 SlowDown is S3's way to say that it is adapting: keep trying.
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
    tcp_keepalive=True,
)
# Services that answer with one JSON object. botocore turns any other body, a proxy's HTML for
# instance, into an answer without keys. Of the others, which answer with XML, botocore itself
# refuses what is none.
_JSON_SERVICES: Final = {"batch", "ecr", "logs", "sqs"}
_GOOD_STATUS: Final = range(200, 300)


class Clients:
    """The AWS clients of one process in one region, each made when first used.

    Sessions are not thread-safe, clients are.

    Args:
        region: The region of the stack.

    Attributes:
        region: As given.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._session = boto3.Session(region_name=region)
        self._making = threading.Lock()  # guards the session and `_made`
        self._made: dict[tuple[str, str], Any] = {}
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
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @property
    def sts(self) -> "STSClient":
        """STS, which says whose the credentials are."""
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

    @property
    def requests(self) -> int:
        """How many requests have been made."""
        with self._counting:
            return self._requests.total()

    def requests_by_operation(self) -> dict[str, int]:
        """Return how many requests have been made, as in ``{"sqs.SendMessageBatch": 3}``."""
        with self._counting:
            return dict(self._requests)

    def _client(self, service: Any, region: str | None = None) -> Any:
        identity = (service, region or self.region)
        if identity not in self._made:
            self._session.get_credentials()  # may ask the network, so not under the lock
            with self._making:
                if identity not in self._made:
                    client = self._session.client(service, region_name=identity[1], config=_CONFIG)
                    client.meta.events.register("before-send", self._count)
                    if service in _JSON_SERVICES:
                        client.meta.events.register("after-call", _check_answer)
                    self._made[identity] = client
        return self._made[identity]

    def _count(self, event_name: str, **_: Any) -> None:
        with self._counting:
            self._requests[event_name.removeprefix("before-send.")] += 1


def _check_answer(http_response: Any, model: Any, **_: Any) -> None:
    """Refuse what does not come from AWS, so that callers can rely on the documented keys."""
    body = http_response.content.strip()
    if (
        http_response.status_code in _GOOD_STATUS
        and body
        and not (body[:1] == b"{" and body[-1:] == b"}")
    ):
        raise AnswerError(
            service=model.service_model.service_name, operation=model.name, body=body[:60]
        )
