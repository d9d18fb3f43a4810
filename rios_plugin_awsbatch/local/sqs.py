"""SQS that can be shared by threads: moto's, with messages kept under a lock of each queue.

moto's own lets two receivers take one message, loses what is sent during a delete, and looks at every
message for each request. Here a queue is a heap of the times at which its messages become visible: the
earliest is received first, and receiving, deleting or hiding one costs the logarithm of their number.
"""

import copy
import heapq
import itertools
import secrets
import socket
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import flask
import moto.sqs.models
import moto.sqs.urls
from moto.core.utils import unix_time_millis
from moto.moto_api._internal import mock_random
from moto.sqs.exceptions import InvalidParameterValue, QueueDoesNotExist, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, SQSBackend, _filter_message_attributes, sqs_backends

__all__ = ["install"]

# A waiting receiver looks at least as often, for messages whose visibility ran out and for its client's end.
_LOOK_AGAIN = 0.1
_NOT_IN_FLIGHT = (
    "Value {} for parameter ReceiptHandle is invalid. "
    "Reason: Message does not exist or is not available for visibility timeout change."
)


class _Message(Message):
    """Same as moto's, but its checksum is computed once."""

    def __init__(self, body: str, system_attributes: dict[str, Any] | None) -> None:
        super().__init__(str(mock_random.uuid4()), body, system_attributes)
        self.visible_from = 0.0
        self.due: tuple[float, int] | None = None
        self._md5 = super().body_md5

    @property
    def body_md5(self) -> str:
        return self._md5


class _Queue(Queue):
    """Same as moto's, but for threads, and without FIFO."""

    endpoint = ""
    delay_seconds: int  # moto sets its attributes by name

    def __init__(self, name: str, region: str, account_id: str, **attributes: Any) -> None:
        super().__init__(name, region, account_id, **attributes)
        if self.fifo_queue:
            raise InvalidParameterValue("The embedded AWS has no FIFO queues.")
        self._changed = threading.Condition()
        self._held: dict[str, _Message] = {}
        self._due: list[tuple[float, int, str]] = []
        self._turn = itertools.count()
        self._deleted = False

    def put(self, message: _Message, delay: float = 0) -> None:
        """Take a message in, visible after a delay."""
        with self._changed:
            if self._deleted:
                raise QueueDoesNotExist
            self._held[message.id] = message
            self._show(message, delay)
            self._changed.notify()

    def receive(
        self, count: int, wait: float, visibility: float, gone: Callable[[], bool]
    ) -> list[_Message]:
        """Return up to ``count`` messages, waiting for the first one unless the client is gone."""
        deadline = time.monotonic() + wait
        with self._changed:
            while not gone():
                if self._deleted:
                    raise QueueDoesNotExist
                taken = self._take(count, visibility)
                left = deadline - time.monotonic()
                if taken or left <= 0:
                    return taken
                self._changed.wait(min(left, _LOOK_AGAIN))
        return []

    def remove(self, handle: str) -> None:
        """Delete the message, unless it has been received again since, as SQS documents."""
        with self._changed:
            message = self._held.get(_id_of(handle))
            if message is not None and message.receipt_handle == handle:
                del self._held[message.id]

    def hide(self, handle: str, seconds: float) -> None:
        """Let the message become visible after some seconds from now.

        Raises:
            InvalidParameterValue: It is not in flight under this handle.
        """
        with self._changed:
            message = self._held.get(_id_of(handle))
            if (
                message is None
                or message.receipt_handle != handle
                or message.visible_from <= time.monotonic()
            ):
                raise InvalidParameterValue(_NOT_IN_FLIGHT.format(handle))
            self._show(message, seconds)
            self._changed.notify()

    def purge(self) -> None:
        """Delete all messages."""
        with self._changed:
            self._held.clear()
            self._due.clear()

    def close(self) -> None:
        """End every wait: the queue has been deleted."""
        with self._changed:
            self._deleted = True
            self._changed.notify_all()

    def _show(self, message: _Message, delay: float) -> None:
        message.visible_from = time.monotonic() + delay
        message.due = message.visible_from, next(self._turn)
        heapq.heappush(self._due, (*message.due, message.id))

    def _take(self, count: int, visibility: float) -> list[_Message]:
        taken: list[_Message] = []
        now = time.monotonic()
        while len(taken) < count and self._due and self._due[0][0] <= now:
            *due, identity = heapq.heappop(self._due)
            message = self._held.get(identity)
            # A message that was deleted, hidden again or shown again has left its former times in the heap.
            if message is not None and message.due == tuple(due) and not self._gave_up(message):
                taken.append(message)
        for message in taken:
            message.receipt_handle = f"{message.id}.{secrets.token_urlsafe(48)}"
            message.approximate_receive_count += 1
            message.approximate_first_receive_timestamp = (
                message.approximate_first_receive_timestamp or int(unix_time_millis())
            )
            self._show(message, visibility)
        return [copy.copy(message) for message in taken]

    def _gave_up(self, message: _Message) -> bool:
        """Move a message that was received too often to the dead letter queue, if there is one."""
        dead = self.dead_letter_queue
        most = (self.redrive_policy or {}).get("maxReceiveCount", 0)
        if dead is None or message.approximate_receive_count < most:
            return False
        del self._held[message.id]
        assert isinstance(dead, _Queue)
        dead.put(message)
        return True

    def _count(self, *, visible: bool, received: bool | None = None) -> int:
        with self._changed:
            now = time.monotonic()
            return sum(
                (message.visible_from <= now) is visible
                and received in (None, message.approximate_receive_count > 0)
                for message in self._held.values()
            )

    @property
    def approximate_number_of_messages(self) -> int:
        return self._count(visible=True)

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        return self._count(visible=False, received=True)

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        return self._count(visible=False, received=False)

    @property
    def physical_resource_id(self) -> str:
        return f"{self.endpoint}/{self.account_id}/{self.name}"


class _SQSBackend(SQSBackend):
    """Same as moto's, but each queue does its own work on messages."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._lock = threading.Lock()

    @property
    def _url_module(self) -> ModuleType:
        return moto.sqs.urls

    def create_queue(
        self, name: str, tags: dict[str, str] | None = None, **attributes: Any
    ) -> Queue:
        with self._lock:
            return super().create_queue(name, tags, **attributes)

    def list_queues(self, queue_name_prefix: str) -> list[Queue]:
        with self._lock:
            return super().list_queues(queue_name_prefix)

    def delete_queue(self, queue_name: str) -> None:
        with self._lock:
            queue = self._queue(queue_name)
            del self.queues[queue_name]
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
        message = _Message(message_body, system_attributes)
        message.group_id = group_id
        message.message_attributes = message_attributes or {}
        message.mark_sent()
        queue.put(message, delay)
        return message

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

    def _queue(self, name: str) -> _Queue:
        queue = self.get_queue(name)
        assert isinstance(queue, _Queue)
        return queue


def _id_of(handle: str) -> str:
    identity, dot, _ = handle.partition(".")
    if not dot:
        raise ReceiptHandleIsInvalid
    return identity


def _client_gone() -> Callable[[], bool]:
    """Return a test whether the client of this request has closed its connection.

    Without it, a message would be given to a worker that was killed while it waited.
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


def install(endpoint: str) -> None:
    """Make moto use these queues."""
    _Queue.endpoint = endpoint
    sqs_backends.backend = _SQSBackend
    # The one place where moto's backend makes a queue looks its class up here.
    moto.sqs.models.Queue = _Queue  # type: ignore[misc]
