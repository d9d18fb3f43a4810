"""The totals of a run, made from its records."""

import dataclasses
import threading

from rios_plugin_awsbatch.records import TaskRecord

__all__ = ["Statistics", "Totals"]


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What a run has done so far.

    Attributes:
        workers: How many workers have been ready.
        tasks: How many tasks have come back.
        requests: AWS requests, main's and the workers'.
        bytes_sent: Bytes of payloads that went out, shared ones counted once.
        bytes_received: Bytes of payloads that came back.
    """

    workers: int = 0
    tasks: int = 0
    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Totals:
    """Sums up the records of a run's tasks."""

    def __init__(self) -> None:
        self._adding = threading.Lock()  # guards the three sums
        self._tasks = self._bytes_sent = self._bytes_received = 0

    def note_sent(self, size: int) -> None:
        """Add the bytes of a payload that goes out."""
        with self._adding:
            self._bytes_sent += size

    def note(self, record: TaskRecord) -> None:
        """Add a task that has come back."""
        if record.outcome == "done":
            with self._adding:
                self._tasks += 1
                self._bytes_received += record.bytes_out

    def statistics(self, workers: int, requests: int) -> Statistics:
        """Return the sums, with what others have counted."""
        with self._adding:
            return Statistics(
                workers, self._tasks, requests, self._bytes_sent, self._bytes_received
            )
