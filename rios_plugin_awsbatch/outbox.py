"""From main to the tasks queue: packs, uploads and sends in threads, in batches, in bounded memory."""

import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .awserrors import AWS_ERRORS, is_missing_queue, is_passing
from .exchange import BATCH_ENTRIES, MESSAGE_BYTES, NEW_QUEUE_SECONDS, OUTAGE_SECONDS, Exchange
from .messages import Payload, Task

__all__ = ["Budget", "Outbox", "Parcel"]

log = logging.getLogger(__name__)

PACKERS = 4
SENDERS = 3
# Small messages wait for company: one request for up to ten of them. So long if nothing else is on its way here:
LINGER_SECONDS = 0.004
# So long if other parcels are being stored:
COMPANY_SECONDS = 0.05
SMALL_BYTES = MESSAGE_BYTES // 4
CLOSE_SECONDS = 10.0

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Parcel:
    """A task on its way out.

    Attributes:
        arguments: The pickled arguments.
        room: How many bytes of them may ride in the message.
        seal: Makes the task of their payload.
        wanted: Says whether anybody still waits for its result.
        failed: Takes the error if it cannot be sent.
    """

    number: int
    arguments: bytes
    room: int
    seal: Callable[[Payload], Task]
    wanted: Callable[[], bool]
    failed: Callable[[Exception], None]

    @property
    def cost(self) -> int:
        """How many bytes it takes here: as text, if it rides in the message."""
        size = len(self.arguments)
        return size if size > self.room else size * 4 // 3


@dataclasses.dataclass(frozen=True)
class _Letter:
    """A task as text; its arguments are in memory no more."""

    text: str
    failed: Callable[[Exception], None]


class Budget:
    """Bytes that may be in memory; who wants more waits, but one at a time may exceed the limit.

    Args:
        limit: The bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    def acquire(self, size: int, go_on: Callable[[], bool]) -> None:
        """Wait until there are `size` bytes, as long as `go_on` says so."""
        with self._changed:
            while self._used and self._used + size > self._limit and go_on():
                self._changed.wait(1)
            self._used += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Outbox:
    """Sends parcels until it is closed.

    Args:
        exchange: Where to.
        budget: Bounds the bytes that wait here.
    """

    def __init__(self, exchange: Exchange, budget: Budget) -> None:
        self._exchange = exchange
        self._budget = budget
        self._parcels: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._letters: queue.SimpleQueue[_Letter | None] = queue.SimpleQueue()
        self._gathering = threading.Lock()  # one sender at a time, lest each waits for company with one letter
        self._carried: _Letter | None = None  # for whoever gathers next: the one who took it may have to wait
        self._counting = threading.Lock()
        self._unsealed = 0
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._begun = time.monotonic()

    def start(self) -> None:
        """Start the threads."""
        for target, count in ((self._pack_loop, PACKERS), (self._send_loop, SENDERS)):
            for _ in range(count):
                thread = threading.Thread(target=target, name=f"outbox{target.__name__}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def put(self, parcel: Parcel) -> None:
        """Send `parcel` soon; waits while too many bytes wait already."""
        self._budget.acquire(parcel.cost, lambda: not self._closed.is_set())
        self._count_unsealed(1)
        self._parcels.put(parcel)

    def close(self) -> None:
        """Stop sending: what waits is dropped, and what is under way arrives before the run's objects are deleted."""
        self._closed.set()
        for _ in range(PACKERS):
            self._parcels.put(None)
        for _ in range(SENDERS):
            self._letters.put(None)
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            if thread is not threading.current_thread():  # a future's callback may end the run
                thread.join(max(deadline - time.monotonic(), 0))

    def _count_unsealed(self, change: int) -> None:
        with self._counting:
            self._unsealed += change

    def _pack_loop(self) -> None:
        while self._pack_next():
            pass

    def _pack_next(self) -> bool:
        """Pack a parcel; say whether there may be more. What it held is let go on return."""
        parcel = self._parcels.get()
        if parcel is None:
            return False
        text = self._sealed(parcel)
        if text is not None:
            self._budget.release(-len(text))
            self._letters.put(_Letter(text, parcel.failed))
        self._budget.release(parcel.cost)
        self._count_unsealed(-1)
        return True

    def _sealed(self, parcel: Parcel) -> str | None:
        """Return the parcel as text; None if it is not wanted, or cannot be stored."""
        if self._closed.is_set() or not parcel.wanted():
            return None
        try:
            payload = self._patiently(
                lambda: self._exchange.pack(parcel.arguments, f"tasks/{parcel.number}", parcel.room)
            )
            return self._exchange.encode(parcel.seal(payload))
        except Exception as error:  # noqa: BLE001 - it is the task's outcome
            parcel.failed(error)
            return None

    def _send_loop(self) -> None:
        while True:
            with self._gathering:
                first = self._carried or self._letters.get()
                if first is None:
                    return
                batch, self._carried = self._company(first)
            if not self._closed.is_set():
                self._send(batch)
            self._budget.release(sum(len(letter.text) for letter in batch))

    def _company(self, first: _Letter) -> tuple[list[_Letter], _Letter | None]:
        """Return what goes into one request with `first`, and what was taken but does not fit."""
        batch, size = [first], len(first.text)
        begun = time.monotonic()
        while len(batch) < BATCH_ENTRIES and size < SMALL_BYTES:
            waited = time.monotonic() - begun
            if waited >= (COMPANY_SECONDS if self._unsealed else LINGER_SECONDS):
                break
            try:
                more = self._letters.get(timeout=LINGER_SECONDS)
            except queue.Empty:
                continue
            if more is None:  # for another thread, or for the next time
                self._letters.put(None)
                break
            if size + len(more.text) > MESSAGE_BYTES:
                return batch, more
            batch.append(more)
            size += len(more.text)
        return batch, None

    def _send(self, batch: list[_Letter]) -> None:
        try:
            self._patiently(lambda: self._exchange.tasks.send([letter.text for letter in batch]))
        except Exception as error:  # noqa: BLE001 - it is these tasks' outcome
            for letter in batch:
                letter.failed(error)

    def _patiently(self, call: Callable[[], Value]) -> Value:
        """Make a call to AWS, and sit out an outage, or that a queue is too new to be there for everybody."""
        begun = time.monotonic()
        while True:
            try:
                return call()
            except AWS_ERRORS as error:  # noqa: PERF203 - rare
                young = time.monotonic() - self._begun < NEW_QUEUE_SECONDS and is_missing_queue(error)
                passing = time.monotonic() - begun < OUTAGE_SECONDS and is_passing(error)
                if not (young or passing) or self._closed.wait(1):
                    raise
