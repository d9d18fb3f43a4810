"""Promises of SQS's."""

import time
from typing import Any, Final

from rios_plugin_awsbatch.aws.errors import error_code
from rios_plugin_awsbatch.aws.names import new_run_id, queue_name
from rios_plugin_awsbatch.aws.patience import NEW_QUEUE_SECONDS, Patience
from rios_plugin_awsbatch.run.resources import delete_queue
from rios_plugin_awsbatch.wire.queue import LONG_POLL_SECONDS, MESSAGE_BYTES

from .records import NotShownError, Observed, Promise
from .site import Site

__all__ = ["PROMISES"]

_GUIDE: Final = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide"
_REFERENCE: Final = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference"
_MESSAGES, _SHORT_POLLS = 20, 40
_TWELVE_HOURS: Final = 12 * 3600
_WAIT_SECONDS: Final = 5


def _new(site: Site) -> Observed:
    begun = time.monotonic()
    url = site.queue()
    patience = Patience(new_queue=NEW_QUEUE_SECONDS)
    patience.call(lambda: site.clients.sqs.send_message(QueueUrl=url, MessageBody="first"))
    seconds = time.monotonic() - begun
    return Observed(seconds < NEW_QUEUE_SECONDS, f"usable after {seconds:.1f} s")


def _polls(site: Site) -> Observed:
    url = site.queue()
    sqs = site.clients.sqs
    entries: Any = [{"Id": str(number), "MessageBody": "x"} for number in range(10)]
    for _ in range(_MESSAGES // 10):
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    empty = sum(
        not sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages")
        for _ in range(_SHORT_POLLS)
    )
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=LONG_POLL_SECONDS).get("Messages")
    detail = f"{empty} of {_SHORT_POLLS} short polls were empty with {_MESSAGES} messages there"
    return Observed(bool(found), f"{detail}; the long poll found {len(found or [])}")


def _deleted_recently(site: Site) -> Observed:
    name = queue_name(site.stack.queue_prefix, new_run_id(), "results")
    sqs = site.clients.sqs
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    site.later(f"delete queue {name}", lambda: delete_queue(site.clients, url))
    sqs.delete_queue(QueueUrl=url)
    try:
        sqs.create_queue(QueueName=name)
    except sqs.exceptions.ClientError as error:
        code = error_code(error)
        return Observed("QueueDeletedRecently" in code, f"refused with {code}")
    return Observed(kept=False, detail="the name could be used again at once")


def _visibility(site: Site) -> Observed:
    url = site.queue()
    sqs = site.clients.sqs
    sqs.send_message(QueueUrl=url, MessageBody="x")
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, VisibilityTimeout=600)
    if not answer.get("Messages"):
        raise NotShownError("no message came within 20 s")
    receipt = answer["Messages"][0]["ReceiptHandle"]
    site.pause(_WAIT_SECONDS)
    answer_of_change: Any = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[{"Id": "0", "ReceiptHandle": receipt, "VisibilityTimeout": _TWELVE_HOURS}],
    )
    failed = answer_of_change.get("Failed", [])
    if failed:
        return Observed(kept=True, detail=f"refused with {failed[0].get('Code')}")
    return Observed(kept=False, detail=f"12 h more were granted {_WAIT_SECONDS} s after a receive")


def _size(site: Site) -> Observed:
    url = site.queue(MaximumMessageSize=str(MESSAGE_BYTES))
    site.clients.sqs.send_message(QueueUrl=url, MessageBody="x" * MESSAGE_BYTES)
    answer = site.clients.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
    sizes = [len(message["Body"]) for message in answer.get("Messages", [])]
    return Observed(sizes == [MESSAGE_BYTES], f"received: {sizes} bytes")


PROMISES: Final = (
    Promise(
        "queues.new",
        "A new queue can be used within a minute.",
        f"{_REFERENCE}/API_CreateQueue.html",
        _new,
    ),
    Promise(
        "queues.polls",
        "A long poll finds what short polls may miss.",
        f"{_GUIDE}/sqs-short-and-long-polling.html",
        _polls,
    ),
    Promise(
        "queues.deleted",
        "The name of a deleted queue is refused for a minute (QueueDeletedRecently).",
        f"{_REFERENCE}/API_CreateQueue.html",
        _deleted_recently,
    ),
    Promise(
        "queues.visibility",
        "Nobody can hide a message for more than 12 hours after its receive.",
        f"{_GUIDE}/sqs-visibility-timeout.html",
        _visibility,
    ),
    Promise(
        "queues.size",
        "A message may have 1 MiB.",
        f"{_GUIDE}/quotas-messages.html",
        _size,
    ),
)
