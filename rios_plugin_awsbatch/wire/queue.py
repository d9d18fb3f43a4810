"""An SQS queue, used in batches."""

import dataclasses
import functools
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.aws.s3 import in_batches
from rios_plugin_awsbatch.errors import AWSBatchException

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

__all__ = [
    "BATCH_ENTRIES",
    "LONG_POLL_SECONDS",
    "MESSAGE_BYTES",
    "SURE_SECONDS",
    "MessageQueue",
    "Received",
]

log = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MESSAGE_BYTES: Final = 1024 * 1024
BATCH_ENTRIES: Final = 10
LONG_POLL_SECONDS: Final = 20
# A short poll asks some of SQS's servers only, and may find nothing although there are messages:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
SURE_SECONDS: Final = 1
DRAIN_SECONDS: Final = 60
_COUNTS: "Final[tuple[QueueAttributeNameType, ...]]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
REFUSAL_SECONDS: Final = 10.0  # for which SQS may refuse single messages of a batch


@dataclasses.dataclass(frozen=True)
class Received:
    """A message as a queue hands it out.

    Attributes:
        body: Its text.
        receipt: The handle by which it is deleted or handed back.
        attempts: How often it has been handed out, this time included.
    """

    body: str
    receipt: str
    attempts: int


class _RefusedError(AWSBatchException):
    """SQS has taken the request, but not all messages in it."""

    def __init__(self, url: str, failure: Any) -> None:
        super().__init__(f"Queue {url} refuses a message: {failure.get('Message')}")
        self.for_good = bool(failure.get("SenderFault"))


class MessageQueue:
    """One SQS queue.

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
            AWSBatchException: SQS refuses a message for good.
            botocore.exceptions.ClientError: The queue is gone, or may not be used.
        """
        for batch in in_batches(bodies, BATCH_ENTRIES, MESSAGE_BYTES):
            unsent = {str(number): body for number, body in enumerate(batch)}
            patience = Patience(outage=REFUSAL_SECONDS, passes=_may_be_taken)
            patience.call(functools.partial(self._send, unsent))

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
        """Delete all visible messages. PurgeQueue would also delete those of the next minute."""
        while received := self.receive(BATCH_ENTRIES, wait=SURE_SECONDS, visibility=DRAIN_SECONDS):
            self.delete([message.receipt for message in received])

    def count(self) -> int:
        """Return how many messages it holds, about: AWS needs a minute to be sure."""
        answer = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[*_COUNTS])
        attributes: Any = answer.get("Attributes", {})
        return sum(int(attributes.get(name, 1)) for name in _COUNTS)

    def extend(self, receipts: Sequence[str], seconds: int) -> list[str]:
        """Hide the messages of these receipts for `seconds` from now; 0 hands them back.

        Returns:
            The receipts that SQS refuses: their messages are deleted, or visible again.
        """
        refused = []
        for batch in in_batches(receipts, BATCH_ENTRIES):
            response = self._sqs.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                    for number, receipt in enumerate(batch)
                ],
            )
            failed = response.get("Failed", [])
            self._note(failed, "extended")
            refused += [batch[int(one["Id"])] for one in failed if one.get("SenderFault")]
        return refused

    def _send(self, unsent: dict[str, str]) -> None:
        """Send a batch; what SQS takes is taken out of `unsent`."""
        response = self._sqs.send_message_batch(
            QueueUrl=self.url,
            Entries=[{"Id": number, "MessageBody": body} for number, body in unsent.items()],
        )
        for taken in response.get("Successful", []):
            unsent.pop(taken["Id"], None)
        for failure in response.get("Failed", []):
            raise _RefusedError(self.url, failure)
        if unsent:
            raise _RefusedError(self.url, {"Message": "SQS says nothing of it"})

    def _note(self, failures: Iterable[Any], verb: str) -> None:
        # Harmless: the message is received and computed once more, and its result is ignored.
        for failure in failures:
            log.debug("queue=%s a message was not %s: %s", self.url, verb, failure.get("Message"))


def _may_be_taken(error: Exception) -> bool:
    return isinstance(error, _RefusedError) and not error.for_good
