"""The tasks between main and the workers: what to send again, and what was heard of each."""

import dataclasses
import threading
import time
from collections.abc import Iterable

from rios_plugin_awsbatch.wire.messages import Begun

from .tasks import OutgoingTask

__all__ = ["Transit"]


@dataclasses.dataclass(slots=True)
class _Passage:
    """What is known of one task's way; times are those of the monotonic clock."""

    outgoing: OutgoingTask | None = None
    sent: float | None = None
    sent_again: int = 0
    worker: str = ""
    kept: float | None = None  # when a worker has last said that only it has the task

    @property
    def size(self) -> int:
        return 0 if self.outgoing is None else self.outgoing.kept_bytes


class Transit:
    """Knows each task from `expect` to `forget`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows
        self._passages: dict[int, _Passage] = {}
        self._bytes = 0
        self._progress = time.monotonic()  # when a task was last begun or forgotten

    def expect(self, number: int) -> None:
        """Know a task from now on."""
        with self._lock:
            if not self._passages:
                self._progress = time.monotonic()
            self._passages[number] = _Passage()

    def forget(self, number: int) -> None:
        """Know a task no more: it has its outcome, or nobody waits for it."""
        with self._lock:
            passage = self._passages.pop(number, None)
            if passage is not None:
                self._bytes -= passage.size
                self._progress = time.monotonic()

    @property
    def kept_bytes(self) -> int:
        """Bytes of arguments that are kept to be sent again."""
        with self._lock:
            return self._bytes

    def keep(self, outgoing: OutgoingTask) -> None:
        """Keep what is needed to send a task again."""
        with self._lock:
            passage = self._passages.get(outgoing.number)
            if passage is not None:
                self._bytes += outgoing.kept_bytes - passage.size
                passage.outgoing = outgoing

    def note_sent(self, numbers: Iterable[int]) -> None:
        """Take note that SQS has taken the messages of these tasks."""
        now = time.monotonic()
        with self._lock:
            for passage in filter(None, map(self._passages.get, numbers)):
                passage.sent = now

    def note_begun(self, begun: Begun) -> None:
        """Take note of a worker that computes a task."""
        now = time.monotonic()
        with self._lock:
            passage = self._passages.get(begun.task)
            if passage is None:
                return
            if passage.worker != begun.worker:
                passage.worker, self._progress = begun.worker, now
            if begun.kept:
                passage.kept = now

    def overdue(self, quiet: float, silent: float) -> list[OutgoingTask]:
        """Return tasks that may be lost: sent long ago, while nothing has happened since.

        Args:
            quiet: Seconds for which nothing has happened.
            silent: Seconds for which a worker that keeps a task has said nothing.
        """
        now = time.monotonic()
        with self._lock:
            if now - self._progress < quiet:
                return []
            return [
                passage.outgoing
                for passage in self._passages.values()
                if passage.outgoing is not None
                and passage.sent is not None
                and now - passage.sent >= quiet
                and (passage.kept is None or now - passage.kept >= silent)
            ]

    def count_again(self, number: int) -> int:
        """Take note that a task is sent again; return how often it has been."""
        with self._lock:
            passage = self._passages.get(number)
            if passage is None:
                return 0
            passage.sent_again, passage.kept = passage.sent_again + 1, None
            return passage.sent_again
