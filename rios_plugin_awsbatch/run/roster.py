"""The workers that have been heard of: who is ready, who has gone, what they have requested."""

import logging
import threading
import time

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.records import WorkerRecord
from rios_plugin_awsbatch.wire.messages import WorkerNotice

__all__ = ["Roster"]

log = logging.getLogger(__name__)


class Roster:
    """What workers have said of themselves, and what Batch says of those that failed.

    Args:
        run_id: The run's id.

    Attributes:
        run_id: As given.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._changed = threading.Condition()  # guards all that follows
        self._ready: set[str] = set()
        self._gone: set[str] = set()
        self._ready_since_launch = False
        self._requests: dict[str, int] = {}
        self._replies = 0
        self._reasons: tuple[str, ...] = ()
        self._last_words: dict[str, None] = {}

    def note(self, notice: WorkerNotice) -> None:
        """Take note of a worker that is ready or has gone."""
        failed = notice.event == "failed"
        log.log(
            logging.WARNING if failed else logging.INFO,
            "run=%s worker=%s %s: %s",
            self.run_id,
            notice.worker,
            "could not start" if failed else f"is {notice.event}",
            notice.detail,
        )
        with self._changed:
            if notice.event == "ready":
                self._ready.add(notice.worker)
                self._gone.discard(notice.worker)
                self._ready_since_launch = True
            else:
                self._gone.add(notice.worker)
            if failed:
                self._last_words[notice.detail] = None
            self._requests[notice.worker] = max(
                notice.requests, self._requests.get(notice.worker, 0)
            )
            self._changed.notify_all()
        record = WorkerRecord(
            self.run_id, notice.worker, notice.event, time.time(), notice.requests, notice.detail
        )
        hooks.call("rios_awsbatch_worker_changed", record)

    def note_reply(self, worker: str, requests: int) -> int:
        """Note that a worker has answered a task, and its requests; return how many are new."""
        with self._changed:
            self._replies += 1
        return self.note_requests(worker, requests)

    def note_requests(self, worker: str, requests: int) -> int:
        """Note how many AWS requests a worker has made; return how many are new."""
        with self._changed:
            before = self._requests.get(worker, 0)
            self._requests[worker] = max(requests, before)
            return max(requests - before, 0)

    def note_reasons(self, reasons: tuple[str, ...]) -> None:
        """Take note of why workers failed, as Batch tells it."""
        with self._changed:
            new = [reason for reason in reasons if reason not in self._reasons]
            self._reasons = (*self._reasons, *new)
        for reason in new:
            log.warning("run=%s a worker failed: %s", self.run_id, reason)

    def note_launch(self) -> None:
        """Take note that all workers there were have ended, and others are started."""
        with self._changed:
            self._ready_since_launch = False

    @property
    def seen(self) -> int:
        """How many workers have been ready."""
        with self._changed:
            return len(self._ready)

    @property
    def present(self) -> int:
        """How many workers are ready and have not said goodbye."""
        with self._changed:
            return len(self._ready - self._gone)

    @property
    def ready_since_launch(self) -> bool:
        """Whether one of the workers started last has been ready."""
        with self._changed:
            return self._ready_since_launch

    @property
    def replies(self) -> int:
        """How many tasks workers have answered so far."""
        with self._changed:
            return self._replies

    @property
    def requests(self) -> int:
        """AWS requests of all workers."""
        with self._changed:
            return sum(self._requests.values())

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why workers failed, each reason once."""
        with self._changed:
            return self._reasons

    @property
    def last_words(self) -> tuple[str, ...]:
        """Why workers could not start, as they have told it, each reason once."""
        with self._changed:
            return tuple(self._last_words)

    def gone_of(self, job_ids: list[str]) -> int:
        """Return how many workers of these jobs have gone; a worker has its job's name."""
        with self._changed:
            return sum(worker.startswith(tuple(job_ids)) for worker in self._gone)

    def wait_for_change(self, seconds: float) -> bool:
        """Wait until a worker says something, or all have gone; False if the time is over."""
        with self._changed:
            return not (self._ready - self._gone) or self._changed.wait(seconds)
