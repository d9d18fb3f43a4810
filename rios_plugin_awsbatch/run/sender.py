"""From main to the tasks queue: packs, uploads and sends, in batches and in bounded memory.

::

    the caller's thread            upload threads (for large arguments)      sender threads
    encode, if the arguments  -->  store the arguments, encode          -->  up to ten messages
    ride in the message                                                      in one request
"""

import dataclasses
import functools
import queue
import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.aws.patience import NEW_QUEUE_SECONDS, Patience
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.queue import BATCH_ENTRIES, MESSAGE_BYTES

from .pending import Pending
from .tasks import OutgoingTask
from .threads import RequestThreads
from .transit import Transit

__all__ = ["Sender", "about_sending"]

UPLOADS: Final = 4
SENDERS: Final = 3
# Small messages wait for others, to share a request: this long if nothing is being uploaded,
GATHER_SECONDS: Final = 0.004
# and this long if something is.
UPLOAD_GATHER_SECONDS: Final = 0.05
SMALL_BYTES: Final = MESSAGE_BYTES // 4
# Arguments up to this size are kept in memory, however many there are: their futures take as much.
ALWAYS_KEPT_BYTES: Final = 4 * 1024
CLOSE_SECONDS: Final = 10.0


@dataclasses.dataclass(frozen=True)
class _Encoded:
    """A task as text, and the bytes of the budget that it has."""

    number: int
    name: str
    text: str
    cost: int


class _Budget:
    """Bytes that may wait in memory. One task at a time may exceed the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()  # guards `_used`
        self._used = 0

    def acquire(self, size: int, give_up: threading.Event) -> None:
        with self._changed:
            while self._used and self._used + size > self._limit and not give_up.is_set():
                self._changed.wait(1)
            self._used += size

    def release(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Sender:
    """Sends tasks until it is closed.

    Args:
        exchange: Where to.
        pending: Says who is still waited for, and takes the error of a task that cannot be sent.
        transit: Keeps what is needed to send tasks again.
        memory_limit: Bytes that may wait here, and bytes that may be kept to be sent again. Beyond
            that, arguments go through the bucket, and only their key is kept.
    """

    def __init__(
        self, exchange: Exchange, pending: Pending, transit: Transit, memory_limit: int
    ) -> None:
        self._exchange = exchange
        self._pending = pending
        self._transit = transit
        self._memory_limit = memory_limit
        self._budget = _Budget(memory_limit)
        self._closed = threading.Event()
        self._patience = Patience(
            new_queue=NEW_QUEUE_SECONDS, ended=self._closed, renewal=exchange.renewal
        )
        self._uploads = RequestThreads("upload", UPLOADS)
        self._encoded: queue.SimpleQueue[_Encoded | None] = queue.SimpleQueue()
        # Guards `_carried`. One thread gathers at a time: each would wait with a single message.
        self._gathering = threading.Lock()
        self._carried: _Encoded | None = None
        self._senders = [
            threading.Thread(target=self._send_loop, name="sender", daemon=True)
            for _ in range(SENDERS)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._senders:
            thread.start()

    def put(self, task: OutgoingTask) -> None:
        """Send `task` soon; waits while too many bytes wait already."""
        size = task.kept_bytes
        fits = size <= self._room_for(task)
        kept = size <= ALWAYS_KEPT_BYTES or self._transit.kept_bytes + size <= self._memory_limit
        if not (fits and kept):
            self._budget.acquire(size, self._closed)
            self._uploads.call(functools.partial(self._upload, task))
            return
        self._transit.keep(task)
        text = self._encode(task)
        self._budget.acquire(len(text), self._closed)
        self._encoded.put(_Encoded(task.number, task.name, text, len(text)))

    def put_again(self, task: OutgoingTask) -> None:
        """Send a task once more that was lost on its way."""
        self._encoded.put(_Encoded(task.number, task.name, self._encode(task), 0))

    def _room_for(self, task: OutgoingTask) -> int:
        return self._exchange.inline_limit - task.size_inline

    def _encode(self, task: OutgoingTask) -> str:
        arguments = task.arguments
        if isinstance(arguments, bytes):
            arguments = self._exchange.pack(arguments, "", self._room_for(task))
        return self._exchange.encode(task.message(arguments))

    def close(self) -> None:
        """Drop what waits, and finish what is under way, before the run's objects are deleted."""
        self._closed.set()
        if self._exchange.renewal is not None:
            self._exchange.renewal.end()
        deadline = time.monotonic() + CLOSE_SECONDS
        self._uploads.close(deadline)
        for _ in self._senders:
            self._encoded.put(None)
        for thread in self._senders:
            if (
                thread.is_alive() and thread is not threading.current_thread()
            ):  # a future's callback may end the run
                thread.join(max(deadline - time.monotonic(), 0))

    # Upload threads

    def _upload(self, task: OutgoingTask) -> None:
        try:
            if self._pending.wanted(task.number):
                name = f"tasks/{task.number}"
                data = task.arguments
                assert isinstance(data, bytes)
                stored = self._patience.call(lambda: self._exchange.pack(data, name, room=-1))
                kept = dataclasses.replace(task, arguments=stored)
                self._transit.keep(kept)
                self._encoded.put(_Encoded(task.number, task.name, self._encode(kept), 0))
        except Exception as error:  # noqa: BLE001 - it is the task's outcome
            self._pending.fail(task.number, about_sending(task.name, error))
        finally:
            self._budget.release(task.kept_bytes)

    # Sender threads

    def _send_loop(self) -> None:
        while True:
            with self._gathering:
                first = self._carried or self._encoded.get()
                if first is None:
                    return
                batch, self._carried = self._batch_from(first)
            self._send([task for task in batch if self._pending.wanted(task.number)])
            self._budget.release(sum(task.cost for task in batch))

    def _batch_from(self, first: _Encoded) -> tuple[list[_Encoded], _Encoded | None]:
        """Return what goes into one request with `first`, and what was taken but does not fit."""
        batch, size = [first], len(first.text)
        begun = time.monotonic()
        while len(batch) < BATCH_ENTRIES and size < SMALL_BYTES:
            uploading = self._uploads.unfinished > 0
            if time.monotonic() - begun >= (UPLOAD_GATHER_SECONDS if uploading else GATHER_SECONDS):
                break
            try:
                more = self._encoded.get(timeout=GATHER_SECONDS)
            except queue.Empty:
                continue
            if more is None:  # for another thread, or for the next time
                self._encoded.put(None)
                break
            if size + len(more.text) > MESSAGE_BYTES:
                return batch, more
            batch.append(more)
            size += len(more.text)
        return batch, None

    def _send(self, batch: list[_Encoded]) -> None:
        if not batch or self._closed.is_set():
            return
        try:
            self._patience.call(lambda: self._exchange.tasks.send([task.text for task in batch]))
            self._transit.note_sent([task.number for task in batch])
        except Exception as error:  # noqa: BLE001 - it is these tasks' outcome
            for task in batch:
                self._pending.fail(task.number, about_sending(task.name, error))


def about_sending(what: str, error: Exception) -> AWSBatchException:
    """Return an error that says what cannot be sent, and why."""
    if isinstance(error, AWSBatchException):
        return error
    sentence = AWSBatchException(f"{what} cannot be sent to the workers: {sentence_for(error)}")
    sentence.__cause__ = error
    return sentence
