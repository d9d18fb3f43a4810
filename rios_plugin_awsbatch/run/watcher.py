"""The thread that looks after the workers.

It also gives up the workers of a run that has had no user for long, or whose places are wanted.
"""

import logging
import math
import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.errors import is_passing, sentence_for
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.errors import AWSBatchException, WorkersError

from .pending import Pending
from .roster import Roster
from .unused import Unused
from .waiting import WaitingLog
from .workforce import Workforce

__all__ = ["Watcher"]

log = logging.getLogger(__name__)

FIRST_LOOK_SECONDS, LOOK_SECONDS = 1.0, 15.0
CLOSE_SECONDS: Final = 5.0
LONGEST_PAUSE: Final = 3600.0  # as `Event.wait` takes no infinite time


class Watcher:
    """Looks at the workers while tasks wait for them.

    Args:
        run_id: The run's id.
        pending: How many tasks wait; takes the error when no worker can be expected any more.
        workforce: The workers' jobs.
        roster: Who is ready.
        unused: Ends the run if it has had no user for long.
        renewal: Says whether to wait for credentials that have ended.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what the run's threads share
        self,
        run_id: str,
        pending: Pending,
        workforce: Workforce,
        roster: Roster,
        unused: Unused,
        renewal: Renewal | None = None,
    ) -> None:
        self._run_id = run_id
        self._pending = pending
        self._workforce = workforce
        self._roster = roster
        self._unused = unused
        self._renewal = renewal
        self._waiting_log = WaitingLog(run_id)
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="watcher", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends when the run does."""
        self._thread.start()

    def wake(self) -> None:
        """Let it look again soon: a task has come, or more workers are wanted."""
        self._wake.set()

    def close(self) -> None:
        """Wait for the thread to end; the workforce ends a job that it is just submitting."""
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _loop(self) -> None:
        pause, next_look = FIRST_LOOK_SECONDS, 0.0
        while self._pending.open:
            now = time.monotonic()
            waiting = len(self._pending)
            if waiting and (now >= next_look or self._workforce.missing):
                self._look(waiting)
                all_here = self._roster.present >= self._workforce.wanted
                pause = LOOK_SECONDS if all_here else min(1.5 * pause, LOOK_SECONDS)
                next_look = time.monotonic() + pause
            due = next_look if waiting else math.inf
            due = min(due, self._unused.look(), time.monotonic() + LONGEST_PAUSE)
            self._wake.wait(max(due - time.monotonic(), 0.01))
            self._wake.clear()

    def _look(self, waiting: int) -> None:
        try:
            self._workforce.look(waiting)
            self._waiting_log.tell(self._workforce.waiting(), waiting)
        except AWSBatchException as error:
            self._pending.fail_all(error)
        except Exception as error:  # noqa: BLE001 - it passes, or it is the end of the run
            lapsed = self._renewal is not None and self._renewal.awaits(error)
            if not (lapsed or is_passing(error)):
                sentence = f"Cannot watch the workers of run {self._run_id}: {sentence_for(error)}"
                self._pending.fail_all(WorkersError(sentence))
