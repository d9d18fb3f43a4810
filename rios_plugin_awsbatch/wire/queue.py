"""An SQS queue: its verbs, everything in batches."""

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.s3 import in_batches
from rios_plugin_awsbatch.errors import AWSBatchException

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

__all__ = ["BATCH_ENTRIES", "LONG_POLL_SECONDS", "MESSAGE_BYTES", "MessageQueue", "Received"]

log = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MESSAGE_BYTES: Final = 1024 * 1024
BATCH_ENTRIES: Final = 10
LONG_POLL_SECONDS: Final = 20
DRAIN_SECONDS: Final = 60
_SEND_ROUNDS: Final = 5


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
                    Entries=[
                        {"Id": number, "MessageBody": body} for number, body in entries.items()
                    ],
                )
                failed = response.get("Failed", [])
                entries = {failure["Id"]: entries[failure["Id"]] for failure in failed}
                if not entries or failed[0]["SenderFault"]:
                    break
            if entries:
                raise AWSBatchException(
                    f"Queue {self.url} does not take a message: {failed[0].get('Message')}"
                )

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
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt}
                    for number, receipt in enumerate(batch)
                ],
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
            log.debug(
                "queue=%s a message could not be %s: %s", self.url, verb, failure.get("Message")
            )
