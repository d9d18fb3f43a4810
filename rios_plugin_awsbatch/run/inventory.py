"""The object that names what a run owns, for who has to delete it if the run cannot.

What is to be made is written here before it is made. So whatever ends main, and when, nothing is
left that nobody knows.
"""

import json
import logging
import threading
from typing import Any, Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.errors import sentence_for
from rios_plugin_awsbatch.aws.names import INVENTORY
from rios_plugin_awsbatch.wire.store import PayloadStore

from .owner import describe_owner

__all__ = ["Heartbeat", "Inventory"]

log = logging.getLogger(__name__)

TURN_SECONDS: Final = 5.0


class Inventory:
    """``runs/<run id>/run.json``: queues, jobs, and who made them.

    Its content:

    * ``queues``: names of the queues that the run makes;
    * ``job_queue``, ``launches``: where workers are submitted, and the names of their jobs;
    * ``jobs``: Batch's ids of these jobs, as far as they are known;
    * ``over``: the run has ended, and could not delete all of that;
    * the process that is main (owner.py).

    Args:
        store: The run's store.
    """

    def __init__(self, store: PayloadStore) -> None:
        self._store = store
        self._turn = threading.Condition()  # guards all that follows
        self._writing = False
        self._over = False
        self._incomplete = False
        self._open_launches: list[str] = []
        self._content: dict[str, Any] = {
            **describe_owner(),
            "queues": [],
            "job_queue": "",
            "launches": [],
            "jobs": [],
        }

    @property
    def launches(self) -> list[str]:
        """The names of the jobs that are, or are to be, submitted."""
        with self._turn:
            return list(self._content["launches"])

    def write(self, **changes: str | list[str]) -> None:
        """Store it, and say by that that main is alive.

        Args:
            changes: Its content, as above, that has changed.
        """
        self._put(changes, last=False)

    def keep(self, *launches: str) -> None:
        """Have it stay after the end: a job may be left.

        Args:
            launches: The names of jobs that may come to light; the others have been found.
        """
        with self._turn:
            self._incomplete = True
            self._open_launches += launches

    def end(self, *, complete: bool) -> bool:
        """Write it no more; say whether it has to stay.

        Args:
            complete: Whether all else has been deleted.
        """
        with self._turn:
            self._over = True
            self._turn.wait_for(lambda: not self._writing, TURN_SECONDS)
            stays = self._incomplete or not complete
        if stays:
            run_id = self._store.prefix.rstrip("/").rpartition("/")[2]
            with attempted(run_id, "say in its record that it is over"):
                self._put({"over": True, "launches": self._open_launches}, last=True)
        return stays

    def _put(self, changes: dict[str, Any], *, last: bool) -> None:
        mine = False
        try:
            with self._turn:
                self._content.update(changes)
                # Writers take turns: an earlier content must not come after a later one.
                self._turn.wait_for(lambda: not self._writing, TURN_SECONDS if last else None)
                if self._over and not last:
                    return
                self._writing = mine = True
                body = json.dumps(self._content).encode()
            self._store.put(INVENTORY, body)
        finally:
            if mine:
                with self._turn:
                    self._writing = False
                    self._turn.notify_all()


class Heartbeat:
    """A thread that writes the inventory again and again: workers see by that that main is alive.

    It is no other thread's business: these may wait for Batch or SQS for minutes.

    Args:
        run_id: The run's id.
        inventory: The inventory.
        seconds: Between two writes.
    """

    def __init__(self, run_id: str, inventory: Inventory, seconds: float) -> None:
        self._run_id = run_id
        self._inventory = inventory
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()

    def _loop(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                self._inventory.write()
            except Exception as error:  # noqa: BLE001 - the next one may succeed
                log.warning("run=%s cannot renew its record: %s", self._run_id, sentence_for(error))
