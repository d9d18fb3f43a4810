"""A run without a user: its workers stay warm for a while, unless another job needs their place.

On AWS, every new job is RUNNABLE for a minute or two until a machine has started. It needs a place
of ours only if all places of the stack are taken.
"""

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rios_plugin_awsbatch.stack.outputs import StackOutputs

from .launch import load_of_queue
from .workforce import Workforce

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["Unused"]

log = logging.getLogger(__name__)

QUEUE_SECONDS: Final = 5.0  # how often to ask who waits for a place


@dataclasses.dataclass(eq=False)
class _NoUse:
    """That the run has no user, and what then."""

    until: float
    next_look: float  # at the job queue; `Unused.look` changes it
    give_up: Callable[[], None]


class Unused:
    """Says when a run that has no user is to be given up; the watcher's thread looks.

    Args:
        run_id: The run's id.
        batch: The Batch client.
        stack: Has the job queue, and so many places.
        workforce: Knows the run's own jobs.
    """

    def __init__(
        self, run_id: str, batch: "BatchClient", stack: StackOutputs, workforce: Workforce
    ) -> None:
        self._run_id = run_id
        self._batch = batch
        self._stack = stack
        self._workforce = workforce
        self._lock = threading.Lock()  # guards `_no_use`
        self._no_use: _NoUse | None = None

    def begin(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Have `give_up` called in so many seconds, or when another job waits for a place."""
        now = time.monotonic()
        with self._lock:
            self._no_use = _NoUse(now + seconds, now + QUEUE_SECONDS, give_up)

    def end(self) -> None:
        """Take note that the run has a user again."""
        with self._lock:
            self._no_use = None

    def look(self) -> float:
        """Give the run up if it is time; return when to look again."""
        with self._lock:
            no_use = self._no_use
        if no_use is None:
            return math.inf
        now = time.monotonic()
        wanted = False
        if no_use.next_look <= now < no_use.until:
            wanted = self._place_is_wanted()
            no_use.next_look = now + QUEUE_SECONDS
        if not wanted and now < no_use.until:
            return min(no_use.until, no_use.next_look)
        with self._lock:
            if self._no_use is no_use:  # else a user has come, and perhaps gone
                self._no_use = None
        no_use.give_up()
        return now

    def _place_is_wanted(self) -> bool:
        """Return whether another job waits, and not only for the machine that Batch starts."""
        try:
            load = load_of_queue(self._batch, self._stack.job_queue)
        except Exception as error:  # noqa: BLE001 - the workers end a little later
            log.debug("run=%s cannot look at the job queue: %s", self._run_id, error)
            return False
        own = {job.job_id for job in self._workforce.jobs}
        return not load.waiting <= own and load.taken >= (self._stack.max_jobs or 0)
