"""What dead runs left behind: found by their inventories, deleted by the next run.

A run is dead if its main has ended, which is known at once on the same machine, or is silent.
"""

import functools
import json
import logging
from collections.abc import Callable
from typing import Any, Final

from rios_plugin_awsbatch.aws.attempts import attempt_all, attempted
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import error_code
from rios_plugin_awsbatch.aws.names import RUNS, run_prefix
from rios_plugin_awsbatch.aws.s3 import age_of, folders_in
from rios_plugin_awsbatch.wire.store import PayloadStore

from .inventory import INVENTORY, REWRITE_SECONDS
from .owner import has_ended
from .resources import delete_queue

__all__ = ["STALE_SECONDS", "sweep"]

log = logging.getLogger(__name__)

STALE_SECONDS: Final = 6 * REWRITE_SECONDS


def sweep(clients: Clients, bucket: str, *, stale_seconds: float = STALE_SECONDS) -> list[str]:
    """Delete what runs left behind whose main died.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.
        stale_seconds: How long a run's inventory has not been rewritten, if it is not known
            whether its main has ended.

    Returns:
        The ids of the runs that were swept.
    """
    swept = []
    for run_id in folders_in(clients.s3, bucket, RUNS):
        inventory = _inventory_of_dead(clients, bucket, run_id, stale_seconds)
        if inventory is None:
            continue
        steps: list[tuple[str, Callable[[], object]]] = [
            (f"end job {job}", functools.partial(_terminate, clients, job))
            for job in inventory.get("jobs", [])
        ]
        steps += [
            (f"delete queue {url}", functools.partial(delete_queue, clients, url))
            for url in inventory.get("queues", [])
        ]
        kept = "" if attempt_all(run_id, steps) else INVENTORY  # which names what is left
        with attempted(run_id, "delete its objects"):
            PayloadStore(clients.s3, bucket, run_prefix(run_id)).clear(keep=kept)
        log.info("run=%s swept: its main died", run_id)
        swept.append(run_id)
    return swept


def _inventory_of_dead(
    clients: Clients, bucket: str, run_id: str, stale_seconds: float
) -> dict[str, Any] | None:
    """Return the inventory of a dead run, or None for one that may live."""
    answer: Any
    prefix = run_prefix(run_id)
    try:
        answer = clients.s3.get_object(Bucket=bucket, Key=prefix + INVENTORY)
        touched, text = answer["LastModified"], answer["Body"].read()
    except clients.s3.exceptions.ClientError as error:
        if error_code(error) != "NoSuchKey":
            raise
        # The run's end was cut short after its inventory was deleted: only objects can be left.
        answer = clients.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        touched, text = (
            max((item["LastModified"] for item in answer.get("Contents", [])), default=None),
            b"{}",
        )
    content = _content(text)
    silent = age_of(touched, answer) >= stale_seconds
    return content if silent or has_ended(content) else None


def _content(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _terminate(clients: Clients, job: str) -> None:
    clients.batch.terminate_job(jobId=job, reason="Its main died")
