"""SQS: moto's API over queues that are safe for threads.

The threads here are those of HTTP connections; a long poll waits in its own.
"""

import socket
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import flask
import moto.sqs.models
import moto.sqs.urls
from moto.sqs.exceptions import (
    InvalidParameterValue,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
    SQSException,
)
from moto.sqs.models import Message, Queue, SQSBackend, _filter_message_attributes, sqs_backends

from . import unkind
from .clock import Clock
from .queues import LocalMessage, LocalQueue
from .unkind import Unkindness

__all__ = ["install"]


# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_DELETED_RECENTLY: Final = (
    "AWS.SimpleQueueService.QueueDeletedRecently",
    (
        "You must wait 60 seconds after deleting a queue before you can create another with the "
        "same name."
    ),
)
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_BatchResultErrorEntry.html
_ENTRY_FAILED: Final = {
    "SenderFault": False,
    "Code": "InternalError",
    "Message": "We encountered an internal error. Please try again.",
}


class _Backend(SQSBackend):
    """Same as moto's, but queues keep their own messages."""

    clock: Clock  # of the server; moto itself makes a backend for each region
    unkindness: Unkindness

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._changing = threading.Lock()  # guards all that follows, and `queues`
        self._known_from: dict[str, float] = {}  # by queue: from when on it is known everywhere
        self._free_from: dict[str, float] = {}  # by deleted name: from when on it can be used again

    @property
    def _url_module(self) -> ModuleType:
        # moto would look for it beside the module of this class.
        return moto.sqs.urls

    def create_queue(
        self, name: str, tags: dict[str, str] | None = None, **attributes: Any
    ) -> Queue:
        with self._changing:
            now = self.clock.now()
            if self._free_from.get(name, now) > now:
                raise SQSException(*_DELETED_RECENTLY)
            if name not in self.queues:
                self._known_from[name] = now + self.unkindness.seconds(unkind.QUEUE_UNKNOWN)
            return super().create_queue(name, tags, **attributes)

    def get_queue(self, queue_name: str) -> Queue:
        unknown = self._known_from.get(queue_name, 0.0) > self.clock.now()
        if unknown and self.unkindness.happens(unkind.QUEUE_MISSED):
            raise QueueDoesNotExist
        return super().get_queue(queue_name)

    def list_queues(self, queue_name_prefix: str) -> list[Queue]:
        with self._changing:
            return super().list_queues(queue_name_prefix)

    def delete_queue(self, queue_name: str) -> None:
        with self._changing:
            queue = self._queue(queue_name)
            del self.queues[queue_name]
            self._known_from.pop(queue_name, None)
            blocked = self.unkindness.seconds(unkind.NAME_BLOCKED)
            self._free_from[queue_name] = self.clock.now() + blocked
        queue.close()

    def purge_queue(self, queue_name: str) -> None:
        self._queue(queue_name).purge()

    def send_message(  # noqa: PLR0913, PLR0917 - moto's signature
        self,
        queue_name: str,
        message_body: str,
        message_attributes: dict[str, Any] | None = None,
        delay_seconds: int | None = None,
        deduplication_id: str | None = None,
        group_id: str | None = None,
        system_attributes: dict[str, Any] | None = None,
        validate_group_id: bool = True,  # noqa: FBT001, FBT002 - moto's signature
    ) -> Message:
        queue = self._queue(queue_name)
        delay = queue.delay_seconds if delay_seconds is None else int(delay_seconds)
        self._validate_message(
            queue, message_body, delay, deduplication_id, group_id, validate_group_id
        )
        message = LocalMessage(message_body, system_attributes)
        message.group_id = group_id
        message.message_attributes = message_attributes or {}
        message.mark_sent()
        queue.put(message, delay)
        return message

    def send_message_batch(
        self, queue_name: str, entries: dict[str, dict[str, Any]]
    ) -> tuple[list[Message], list[dict[str, Any]]]:
        failing = [number for number in entries if self.unkindness.happens(unkind.ENTRY_FAILED)]
        refused = [{"Id": entries[number]["Id"], **_ENTRY_FAILED} for number in failing]
        taken = {number: entry for number, entry in entries.items() if number not in failing}
        sent, failed = super().send_message_batch(queue_name, taken)
        return sent, failed + refused

    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        messages = self._queue(queue_name).receive(
            count, wait_seconds_timeout, visibility_timeout, _client_gone()
        )
        for message in messages:
            _filter_message_attributes(message, message_attribute_names or [])
        return list(messages)

    def delete_message(self, queue_name: str, receipt_handle: str) -> None:
        self._queue(queue_name).remove(receipt_handle)

    def change_message_visibility(
        self, queue_name: str, receipt_handle: str, visibility_timeout: int
    ) -> None:
        self._queue(queue_name).hide(receipt_handle, int(visibility_timeout))

    def change_message_visibility_batch(
        self, queue_name: str, entries: list[dict[str, Any]]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        queue = self._queue(queue_name)
        done: list[str] = []
        failed: list[dict[str, Any]] = []
        for entry in entries:
            if self.unkindness.happens(unkind.ENTRY_FAILED):
                failed.append({"Id": entry["Id"], **_ENTRY_FAILED})
                continue
            try:
                queue.hide(entry["ReceiptHandle"], int(entry["VisibilityTimeout"]))
                done.append(entry["Id"])
            except (InvalidParameterValue, ReceiptHandleIsInvalid) as error:
                failed.append(
                    {
                        "Id": entry["Id"],
                        "SenderFault": True,
                        "Code": error.code,
                        "Message": error.message,
                    }
                )
        return done, failed

    def _queue(self, name: str) -> LocalQueue:
        queue = self.get_queue(name)
        assert isinstance(queue, LocalQueue)
        return queue


def _client_gone() -> Callable[[], bool]:
    """Return a function that says whether the client of this request has closed its connection.

    Otherwise a worker that was killed during its long poll would receive another message.
    """
    connection: socket.socket | None = flask.request.environ.get("werkzeug.socket")

    def gone() -> bool:
        try:
            return connection is not None and not connection.recv(
                1, socket.MSG_PEEK | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return False
        except OSError:
            return True

    return gone


def install(endpoint: str, clock: Clock, unkindness: Unkindness) -> None:
    """Make moto's SQS use these queues.

    Args:
        endpoint: The server's URL, which queues' URLs begin with.
        clock: Of visibility, delays, and names that cannot be used yet.
        unkindness: Decides when to be unkind.
    """
    LocalQueue.endpoint = endpoint
    LocalQueue.clock = _Backend.clock = clock
    LocalQueue.unkindness = _Backend.unkindness = unkindness
    sqs_backends.backend = _Backend
    # Where moto looks for the class of queues.
    moto.sqs.models.Queue = LocalQueue  # type: ignore[misc]
