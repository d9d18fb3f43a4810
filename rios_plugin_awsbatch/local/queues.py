"""SQS's queues, safe for threads: each keeps its messages under a lock of its own.

moto's own queues let two receivers take one message, lose what is sent during a delete, and look at
every message for each request. Here a queue is a heap of the times at which its messages become
visible. The earliest is received first; to receive, delete or hide a message takes time in the
logarithm of their number.
"""

import copy
import heapq
import itertools
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from moto.core.utils import unix_time_millis
from moto.moto_api._internal import mock_random
from moto.sqs.exceptions import InvalidParameterValue, QueueDoesNotExist, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue

from . import unkind
from .clock import Clock
from .unkind import Unkindness

__all__ = ["LocalMessage", "LocalQueue"]

# How often a long poll looks for messages that are visible again, and whether its client lives.
_LOOK_AGAIN: Final = 0.1
# From the receive; to extend it does not begin it anew:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
_MOST_HIDDEN: Final = 43_200.0
# The words: localstack/localstack#3956.
_HIDDEN_TOO_LONG: Final = (
    "Value {} for parameter VisibilityTimeout is invalid. "
    "Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]."
)
_NOT_IN_FLIGHT: Final = (
    "Value {} for parameter ReceiptHandle is invalid. "
    "Reason: Message does not exist or is not available for visibility timeout change."
)


class LocalMessage(Message):
    """Same as moto's, but its checksum is computed once. Guarded by its queue's lock.

    Attributes:
        key: Its key in its queue. A copy that is delivered once more has the message's id, but a
            key of its own.
        received_at: When it was received last, by the queue's clock.
        visible_from: When it becomes visible, by the queue's clock.
        due: Its valid entry in the queue's heap.
    """

    def __init__(self, body: str, system_attributes: dict[str, Any] | None) -> None:
        super().__init__(str(mock_random.uuid4()), body, system_attributes)
        self.key = str(self.id)
        self.received_at = 0.0
        self.visible_from = 0.0
        self.due: tuple[float, int] | None = None
        self._md5 = super().body_md5

    @property
    def body_md5(self) -> str:
        """The checksum of the body."""
        return self._md5


class _Messages:
    """A queue's messages, and when they become visible; guarded by the queue's lock.

    A message that is deleted, hidden or received leaves its former entry in the heap. Such an entry
    is recognised when it comes up, because it is no longer the message's `due`.

    Attributes:
        by_key: The messages.
    """

    def __init__(self, clock: Clock, unkindness: Unkindness) -> None:
        self._clock = clock
        self._unkindness = unkindness
        self.by_key: dict[str, LocalMessage] = {}
        self._due: list[tuple[float, int, str]] = []  # a heap: when, turn, message's key
        self._turn = itertools.count()  # keeps the order of messages that are due at the same time

    def add(self, message: LocalMessage, delay: float) -> None:
        """Add a message that is visible after so many seconds."""
        self.by_key[message.key] = message
        self.show(message, delay)

    def clear(self) -> None:
        """Delete all messages."""
        self.by_key.clear()
        self._due.clear()

    def show(self, message: LocalMessage, delay: float) -> None:
        """Hide a message for so many seconds from now."""
        message.visible_from = self._clock.now() + delay
        message.due = message.visible_from, next(self._turn)
        heapq.heappush(self._due, (*message.due, message.key))

    def visible(self, count: int) -> list[LocalMessage]:
        """Return up to so many messages that are visible; until `show`, nobody else gets them."""
        found: list[LocalMessage] = []
        now = self._clock.now()
        # More than are wanted, to choose from.
        while len(found) < 2 * count and self._due and self._due[0][0] <= now:
            *due, key = heapq.heappop(self._due)
            message = self.by_key.get(key)
            if message is not None and message.due == tuple(due):
                found.append(message)
        if not found:
            return []
        order = self._unkindness.shuffled(unkind.OUT_OF_ORDER, len(found))
        wanted = self._unkindness.fewer(unkind.FEWER, min(count, len(found)))
        for number in order[wanted:]:
            left = found[number]
            assert left.due is not None
            heapq.heappush(self._due, (*left.due, left.key))
        return [found[number] for number in order[:wanted]]

    def deliver_again(self, message: LocalMessage) -> None:
        """Show a copy of a message that has just been received."""
        again = copy.copy(message)
        again.key = f"{message.id}-{next(self._turn)}"
        self.add(again, self._unkindness.seconds(unkind.TWICE))


class LocalQueue(Queue):
    """Same as moto's, but safe for threads, and without FIFO."""

    # Of the server; moto itself makes queues.
    endpoint = ""
    clock = Clock()
    unkindness = Unkindness(None)
    delay_seconds: int  # moto sets its attributes by name

    def __init__(self, name: str, region: str, account_id: str, **attributes: Any) -> None:
        super().__init__(name, region, account_id, **attributes)
        if self.fifo_queue:
            raise InvalidParameterValue("The embedded AWS has no FIFO queues.")
        self._changed = threading.Condition()  # guards all that follows
        self._kept = _Messages(self.clock, self.unkindness)
        self._deleted = False

    def put(self, message: LocalMessage, delay: float = 0) -> None:
        """Add a message.

        Args:
            message: The message.
            delay: Seconds until it is visible.

        Raises:
            QueueDoesNotExist: The queue has been deleted.
        """
        with self._changed:
            if self._deleted:
                raise QueueDoesNotExist
            self._kept.add(message, delay)
            self._changed.notify()

    def receive(
        self, count: int, wait: float, visibility: float, gone: Callable[[], bool]
    ) -> list[LocalMessage]:
        """Receive messages.

        Args:
            count: How many at most.
            wait: Seconds to wait for the first one.
            visibility: Seconds for which they are hidden from others.
            gone: Says whether the client has gone, and must not be given any.

        Returns:
            The messages, as copies.

        Raises:
            QueueDoesNotExist: The queue has been deleted.
        """
        if not wait and self.unkindness.happens(unkind.SHORT_POLL_EMPTY):
            count = 0
        deadline = time.monotonic() + wait
        while not gone():
            with self._changed:
                if self._deleted:
                    raise QueueDoesNotExist
                taken, dead = self._take(count, visibility)
                left = deadline - time.monotonic()
                if not taken and not dead and left > 0:
                    self._changed.wait(min(left, _LOOK_AGAIN))
            for message in dead:  # without the lock: the other queue has its own
                assert isinstance(self.dead_letter_queue, LocalQueue)
                self.dead_letter_queue.put(message)
            if taken or left <= 0:
                return taken
        return []

    def remove(self, handle: str) -> None:
        """Delete a message, unless it has been received again since.

        Source: the documentation of SQS's DeleteMessage.

        Args:
            handle: The receipt handle of its latest receive.
        """
        with self._changed:
            message = self._kept.by_key.get(_key_of(handle))
            if message is not None and message.receipt_handle == handle:
                del self._kept.by_key[message.key]

    def hide(self, handle: str, seconds: float) -> None:
        """Hide a message.

        Args:
            handle: The receipt handle of its latest receive.
            seconds: For how long from now.

        Raises:
            InvalidParameterValue: It is not in flight with this handle, or would be hidden for
                more than 12 hours.
        """
        with self._changed:
            message = self._kept.by_key.get(_key_of(handle))
            if (
                message is None
                or message.receipt_handle != handle
                or message.visible_from <= self.clock.now()
            ):
                raise InvalidParameterValue(_NOT_IN_FLIGHT.format(handle))
            if self.clock.now() + seconds > message.received_at + _MOST_HIDDEN:
                raise InvalidParameterValue(_HIDDEN_TOO_LONG.format(int(seconds)))
            self._kept.show(message, seconds)
            self._changed.notify()

    def purge(self) -> None:
        """Delete all messages."""
        with self._changed:
            self._kept.clear()

    def close(self) -> None:
        """End all long polls, because the queue has been deleted."""
        with self._changed:
            self._deleted = True
            self._changed.notify_all()

    def _take(self, count: int, visibility: float) -> tuple[list[LocalMessage], list[LocalMessage]]:
        """Return messages that are visible, and those for the dead letter queue; hold the lock."""
        taken: list[LocalMessage] = []
        dead: list[LocalMessage] = []
        for message in self._kept.visible(count):
            if self._received_too_often(message):
                dead.append(self._kept.by_key.pop(message.key))
            else:
                taken.append(message)
        now = self.clock.now()
        for message in taken:
            message.receipt_handle = f"{message.key}.{secrets.token_urlsafe(48)}"
            message.received_at = now
            message.approximate_receive_count += 1
            message.approximate_first_receive_timestamp = (
                message.approximate_first_receive_timestamp or int(unix_time_millis())
            )
            self._kept.show(message, visibility)
            if self.unkindness.happens(unkind.TWICE):
                self._kept.deliver_again(message)
        return [copy.copy(message) for message in taken], dead

    def _received_too_often(self, message: LocalMessage) -> bool:
        most = (self.redrive_policy or {}).get("maxReceiveCount", 0)
        return self.dead_letter_queue is not None and (message.approximate_receive_count >= most)

    def _count(self, *, visible: bool, received: bool | None = None) -> int:
        with self._changed:
            now = self.clock.now()
            return sum(
                (message.visible_from <= now) is visible
                and received in (None, message.approximate_receive_count > 0)
                for message in self._kept.by_key.values()
            )

    @property
    def approximate_number_of_messages(self) -> int:
        """How many messages can be received."""
        return self._count(visible=True)

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        """How many messages are in flight."""
        return self._count(visible=False, received=True)

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        """How many messages are delayed."""
        return self._count(visible=False, received=False)

    @property
    def physical_resource_id(self) -> str:
        """The queue's URL."""
        return f"{self.endpoint}/{self.account_id}/{self.name}"


def _key_of(handle: str) -> str:
    key, dot, _ = handle.partition(".")
    if not dot:
        raise ReceiptHandleIsInvalid
    return key
