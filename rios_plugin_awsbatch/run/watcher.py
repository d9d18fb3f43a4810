"""The thread that looks after the workers, and keeps the run's inventory fresh.

It also gives up the workers of a run that has had no user for long, or whose places are wanted.
"""

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final

from rios_plugin_awsbatch.aws.errors import is_passing, sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException, WorkersError

from .inventory import REWRITE_SECONDS, Inventory
from .pending import Pending
from .roster import Roster
from .workforce import Workforce

__all__ = ["Watcher"]

log = logging.getLogger(__name__)

FIRST_LOOK_SECONDS, LOOK_SECONDS = 1.0, 15.0
CLOSE_SECONDS: Final = 5.0
QUEUE_SECONDS: Final = 5.0  # how often a run without a user asks who waits for a place


@dataclasses.dataclass(eq=False)
class _NoUse:
    """That the run has no user, and what then."""

    until: float
    next_look: float  # at the job queue; the watcher's thread changes it
    give_up: Callable[[], None]


class Watcher:
    """Looks at the workers while tasks wait for them.

    Args:
        run_id: The run's id.
        pending: How many tasks wait; takes the error when no worker can be expected any more.
        workforce: The workers' jobs.
        roster: Who is ready.
        inventory: Rewritten now and then.
    """

    def __init__(
        self,
        run_id: str,
        pending: Pending,
        workforce: Workforce,
        roster: Roster,
        inventory: Inventory,
    ) -> None:
        self._run_id = run_id
        self._pending = pending
        self._workforce = workforce
        self._roster = roster
        self._inventory = inventory
        self._wake = threading.Event()
        self._lock = threading.Lock()  # guards `_no_use`
        self._no_use: _NoUse | None = None
        self._thread = threading.Thread(target=self._loop, name="watcher", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends when the run does."""
        self._thread.start()

    def wake(self) -> None:
        """Let it look again soon: a task has come, or more workers are wanted."""
        self._wake.set()

    def note_use(self) -> None:
        """Take note that the run has a user again, and look after the workers soon."""
        with self._lock:
            self._no_use = None
        self.wake()

    def note_no_use(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Have `give_up` called in so many seconds, or when another job waits for a place."""
        with self._lock:
            now = time.monotonic()
            self._no_use = _NoUse(now + seconds, now + QUEUE_SECONDS, give_up)
        self.wake()

    def close(self) -> None:
        """Wait for the thread to end; the workforce ends a job that it is just submitting."""
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _loop(self) -> None:
        pause, next_look, next_write = FIRST_LOOK_SECONDS, 0.0, time.monotonic() + REWRITE_SECONDS
        while self._pending.open:
            now = time.monotonic()
            waiting = len(self._pending)
            if waiting and (now >= next_look or self._workforce.missing):
                self._look(waiting)
                all_here = self._roster.present >= self._workforce.wanted
                pause = LOOK_SECONDS if all_here else min(1.5 * pause, LOOK_SECONDS)
                next_look = time.monotonic() + pause
            if now >= next_write:
                self._rewrite()
                next_write = now + REWRITE_SECONDS
            due = min(next_write, next_look) if waiting else next_write
            due = min(due, self._give_up_unused())
            self._wake.wait(max(due - time.monotonic(), 0.01))
            self._wake.clear()

    def _look(self, waiting: int) -> None:
        try:
            self._workforce.look(waiting)
        except AWSBatchException as error:
            self._pending.fail_all(error)
        except Exception as error:  # noqa: BLE001 - it passes, or it is the end of the run
            if not is_passing(error):
                sentence = f"Cannot watch the workers of run {self._run_id}: {sentence_for(error)}"
                self._pending.fail_all(WorkersError(sentence))

    def _give_up_unused(self) -> float:
        """Give the workers up if it is time; return when to look again."""
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
        try:
            return self._workforce.others_wait()
        except Exception as error:  # noqa: BLE001 - the workers end a little later
            log.debug("run=%s cannot look at the job queue: %s", self._run_id, error)
            return False

    def _rewrite(self) -> None:
        try:
            self._inventory.write()
        except Exception as error:  # noqa: BLE001 - the next one may succeed
            log.warning(
                "run=%s cannot rewrite its inventory: %s", self._run_id, sentence_for(error)
            )
