"""What keeps workers RUNNABLE: other jobs that have the places, or a queue that can start none."""

import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.names import name_of

from .launch import load_of_queue

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["QueueState", "QueueWatch", "trouble_of"]

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0


@dataclasses.dataclass(frozen=True)
class QueueState:
    """Why a job may have to wait.

    Attributes:
        taken: How many jobs of the queue have a place.
        trouble: Why the queue can start no job at all; empty if it can, or that is not known.
    """

    taken: int = 0
    trouble: str = ""


class QueueWatch:
    """Looks at a job queue, now and then.

    Args:
        batch: The client.
        job_queue: The queue.
    """

    def __init__(self, batch: "BatchClient", job_queue: str) -> None:
        self._batch = batch
        self._job_queue = job_queue
        self._next_look = 0.0
        self._latest = QueueState()

    def look(self) -> QueueState:
        """Return its state, which is some seconds old at most."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            try:
                self._latest = QueueState(
                    load_of_queue(self._batch, self._job_queue).taken,
                    trouble_of(self._batch, self._job_queue),
                )
            except Exception as error:  # noqa: BLE001 - it only explains what is seen anyhow
                log.debug("cannot look at job queue %s: %s", self._job_queue, error)
        return self._latest


def trouble_of(batch: "BatchClient", job_queue: str) -> str:
    """Say why a job queue can start no job, if it cannot; empty if it can.

    Args:
        batch: The client.
        job_queue: The queue's name or ARN.
    """
    queues: list[Any] = list(batch.describe_job_queues(jobQueues=[job_queue])["jobQueues"])
    if not queues:
        return f"job queue {job_queue} does not exist any more"
    (queue,) = queues
    if queue.get("status") == "INVALID":
        return f"job queue {job_queue} is INVALID{_because(queue)}"
    names = [one["computeEnvironment"] for one in queue["computeEnvironmentOrder"]]
    found: list[Any] = list(
        batch.describe_compute_environments(computeEnvironments=names)["computeEnvironments"]
    )
    useless = [
        f"compute environment {name_of(one['computeEnvironmentName'])} is "
        f"{'INVALID' if one.get('status') == 'INVALID' else 'disabled'}{_because(one)}"
        for one in found
        if one.get("status") == "INVALID" or one.get("state") == "DISABLED"
    ]
    return "; ".join(useless) if len(useless) == len(found) else ""


def _because(thing: Any) -> str:
    reason = thing.get("statusReason")
    return f" ({reason})" if reason and thing.get("status") == "INVALID" else ""
