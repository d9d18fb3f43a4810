"""The verbs of S3 and SQS, over messages and payloads. Clients are given, and made by `Clients` alone."""

import base64
import collections
import contextlib
import dataclasses
import datetime as dt
import email.utils
import functools
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.exceptions
from botocore.config import Config

from .awserrors import error_code
from .errors import AWSBatchException, PayloadError
from .messages import Message, Payload, RunKey, decode, encode

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

__all__ = ["Clients", "Exchange", "MessageQueue", "PayloadStore", "Received", "in_batches", "s3_age"]

log = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MESSAGE_BYTES: Final = 1024 * 1024
BATCH_ENTRIES: Final = 10
LONG_POLL_SECONDS: Final = 20
DRAIN_SECONDS: Final = 60
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html: at least one second
OUTAGE_SECONDS: Final = 300.0  # so long AWS may be out of reach before anybody gives up
NEW_QUEUE_SECONDS: Final = 60.0  # so long a new queue may not be there for everybody
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
DELETE_KEYS: Final = 1000
_SEND_ROUNDS: Final = 5
_READ_ROUNDS: Final = 5

_CONFIG = Config(
    # 503 SlowDown is S3's way to say that it is adapting: keep trying.
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
    tcp_keepalive=True,
)


class Clients:
    """The boto3 clients of one run in one process, each made when first used, with their requests counted.

    Args:
        region: The region of the stack.
    """

    def __init__(self, region: str) -> None:
        self._session = boto3.Session(region_name=region)
        self._making = threading.RLock()
        self._counting = threading.Lock()
        self.requests: collections.Counter[str] = collections.Counter()

    def _make(self, service: Any) -> Any:
        with self._making:  # sessions are not thread-safe, clients are
            client = self._session.client(service, config=_CONFIG)
        client.meta.events.register("before-send", self._count)
        return client

    def _count(self, event_name: str, **_: Any) -> None:
        with self._counting:
            self.requests[event_name.removeprefix("before-send.")] += 1

    @functools.cached_property
    def sqs(self) -> "SQSClient":
        """SQS."""
        return self._make("sqs")  # type: ignore[no-any-return]  # the service is named one line above

    @functools.cached_property
    def s3(self) -> "S3Client":
        """S3."""
        return self._make("s3")  # type: ignore[no-any-return]  # as above

    @functools.cached_property
    def batch(self) -> "BatchClient":
        """AWS Batch."""
        return self._make("batch")  # type: ignore[no-any-return]  # as above


@dataclasses.dataclass(frozen=True)
class Received:
    """A message as a queue handed it out.

    Attributes:
        body: Its text.
        receipt: The handle by which it is deleted or handed back.
        attempts: How often it has been handed out, this time included.
    """

    body: str
    receipt: str
    attempts: int


class MessageQueue:
    """One SQS queue; everything in batches.

    Args:
        sqs: The client.
        url: The queue's URL.
    """

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self.url = url

    def send(self, bodies: Sequence[str]) -> None:
        """Send all `bodies`, in as few requests as SQS allows.

        Raises:
            AWSBatchException: SQS refused a message for good.
            botocore.exceptions.ClientError: The queue is gone, or may not be used.
        """
        for batch in in_batches(bodies, BATCH_ENTRIES, MESSAGE_BYTES):
            entries = {str(number): body for number, body in enumerate(batch)}
            for _ in range(_SEND_ROUNDS):
                response = self._sqs.send_message_batch(
                    QueueUrl=self.url,
                    Entries=[{"Id": number, "MessageBody": body} for number, body in entries.items()],
                )
                failed = response.get("Failed", [])
                entries = {failure["Id"]: entries[failure["Id"]] for failure in failed}
                if not entries or failed[0]["SenderFault"]:
                    break
            if entries:
                raise AWSBatchException(f"Queue {self.url} does not take a message: {failed[0].get('Message')}")

    def receive(self, maximum: int, *, wait: int, visibility: int) -> list[Received]:
        """Receive up to `maximum` messages, waiting up to `wait` seconds for the first."""
        response = self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=min(maximum, BATCH_ENTRIES),
            WaitTimeSeconds=wait,
            VisibilityTimeout=visibility,
            # The older name of MessageSystemAttributeNames, which every boto3 of our range knows.
            AttributeNames=["ApproximateReceiveCount"],
        )
        return [
            Received(
                message["Body"],
                message["ReceiptHandle"],
                int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for message in response.get("Messages", [])
        ]

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete the messages of these receipts."""
        for batch in in_batches(receipts, BATCH_ENTRIES):
            response = self._sqs.delete_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(batch)],
            )
            self._note(response.get("Failed", []), "deleted")

    def drain(self) -> None:
        """Delete all messages that are visible; PurgeQueue would delete those of the next minute as well."""
        while received := self.receive(BATCH_ENTRIES, wait=0, visibility=DRAIN_SECONDS):
            self.delete([message.receipt for message in received])

    def extend(self, receipts: Sequence[str], seconds: int) -> None:
        """Keep the messages of these receipts from other receivers for `seconds` from now; 0 hands them back."""
        for batch in in_batches(receipts, BATCH_ENTRIES):
            response = self._sqs.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                    for number, receipt in enumerate(batch)
                ],
            )
            self._note(response.get("Failed", []), "extended")

    def _note(self, failures: Iterable[Any], verb: str) -> None:
        # Harmless: the message is received, computed and ignored once more.
        for failure in failures:
            log.debug("queue=%s a message could not be %s: %s", self.url, verb, failure.get("Message"))


class PayloadStore:
    """Payloads under one prefix of the bucket.

    Args:
        s3: The client.
        bucket: The bucket's name.
        prefix: The run's prefix, with a slash at its end.
    """

    def __init__(self, s3: "S3Client", bucket: str, prefix: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self.prefix = prefix

    def put(self, name: str, data: bytes) -> str:
        """Store `data` as `name`; return its key."""
        key = self.prefix + name
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return key

    def get(self, key: str) -> bytes:
        """Return the bytes under `key`.

        Raises:
            PayloadError: There is no such object, or `key` is outside the run's prefix.
        """
        if not key.startswith(self.prefix):
            raise PayloadError(f"A message points to {key}, which is outside {self.prefix} of bucket {self.bucket}.")
        try:
            return self._read(key)
        except botocore.exceptions.ClientError as error:
            if error_code(error) == "NoSuchKey":
                raise PayloadError(
                    f"Payload {key} is not in bucket {self.bucket} any more; the run has ended, or its lifecycle rule "
                    "expires objects too early."
                ) from None
            raise

    def _read(self, key: str) -> bytes:
        # boto3 tries again until the answer begins; a connection that drops in the middle of it is ours.
        for _ in range(_READ_ROUNDS - 1):
            with contextlib.suppress(
                botocore.exceptions.IncompleteReadError,
                botocore.exceptions.ResponseStreamingError,
                botocore.exceptions.ReadTimeoutError,
            ):
                return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def clear(self) -> None:
        """Delete everything under the prefix."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        for page in pages:
            keys = [item["Key"] for item in page.get("Contents", [])]
            for batch in in_batches(keys, DELETE_KEYS):
                self._s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )


class Exchange:
    """Main's and a worker's common ground: two queues, a store and a key.

    Args:
        tasks: The queue from main to workers.
        results: The queue from workers to main.
        store: Where payloads go that are too large for a message.
        key: Authenticates everything.
        inline_limit: Bytes of payload that one message may carry.
    """

    def __init__(
        self, tasks: MessageQueue, results: MessageQueue, store: PayloadStore, key: RunKey, inline_limit: int
    ) -> None:
        self.tasks = tasks
        self.results = results
        self.store = store
        self.key = key
        self.inline_limit = inline_limit

    def pack(self, data: bytes, name: str, room: int | None = None) -> Payload:
        """Return `data` as a payload: inline if it fits into `room` bytes (the inline limit), else stored as `name`."""
        if len(data) <= (self.inline_limit if room is None else room):
            return Payload(mac=self.key.mac(data), size=len(data), inline=base64.b64encode(data).decode())
        return Payload(mac=self.key.mac(data), size=len(data), key=self.store.put(name, data))

    def unpack(self, payload: Payload) -> bytes:
        """Return the bytes of `payload`, authenticated.

        Raises:
            PayloadError: They are missing, damaged or forged.
        """
        if payload.inline is not None:
            try:
                data = base64.b64decode(payload.inline, validate=True)
            except ValueError as error:  # binascii.Error is one
                raise PayloadError(f"A payload of {payload.size} bytes is damaged: {error}.") from None
        elif payload.key is not None:
            data = self.store.get(payload.key)
        else:
            raise PayloadError("A payload is neither in its message nor in the bucket.")
        if len(data) != payload.size or not self.key.verifies(data, payload.mac):
            raise PayloadError(
                f"Payload {payload.key or 'in a message'} of run {self.key.run} is damaged or forged: "
                f"{len(data)} of {payload.size} bytes, and its MAC does not fit."
            )
        return data

    def encode(self, message: Message) -> str:
        """Return `message` as text for one of the run's queues."""
        return encode(message, self.key)

    def decode(self, text: str) -> Message:
        """Return the message in `text`; raises MessageError."""
        return decode(text, self.key)


def s3_age(modified: dt.datetime | None, answer: Any) -> float:
    """Return how many seconds ago an object was written, by the clock of S3: this machine's may be wrong.

    Args:
        modified: When it was written; if there is none, it has no age.
        answer: Any answer of S3's, which says the time.
    """
    now = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return 0.0 if modified is None else (now - modified).total_seconds()


def in_batches(items: Sequence[str], count: int, size: int | None = None) -> Iterator[list[str]]:
    """Split `items` into lists of at most `count` items and, if given, `size` characters."""
    batch: list[str] = []
    total = 0
    for item in items:
        if batch and (len(batch) == count or (size is not None and total + len(item) > size)):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += len(item)
    if batch:
        yield batch
