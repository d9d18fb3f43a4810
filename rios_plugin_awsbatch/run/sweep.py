"""What dead runs left behind: found by their inventories, deleted by another run.

A run is dead if its main has ended, which is known at once on the same machine, or is silent and
has no worker that computes. A main that only sleeps finds what it left when it wakes within a day.

An inventory is not obeyed: only queues and jobs are deleted that bear the run's id in their names.
"""

import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from rios_plugin_awsbatch.aws.attempts import attempt_all, attempted
from rios_plugin_awsbatch.aws.batch import UNKNOWN_SECONDS
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import error_code
from rios_plugin_awsbatch.aws.names import INVENTORY, RUNS, inventory_key, run_prefix
from rios_plugin_awsbatch.aws.s3 import age_of, folders_in
from rios_plugin_awsbatch.wire.store import PayloadStore

from .leftovers import Leftovers, find_leftovers
from .owner import has_ended
from .resources import delete_queue

__all__ = ["STALE_SECONDS", "sweep"]

log = logging.getLogger(__name__)

# Workers end within minutes when main is silent, so what is left costs next to nothing. A laptop
# may sleep over night.
STALE_SECONDS: Final = 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class _Silence:
    """What is known of a run that may be dead.

    Attributes:
        record: What its inventory says.
        seconds: Since somebody has written there.
        ended: Whether main is known to have ended.
    """

    record: Mapping[str, Any]
    seconds: float
    ended: bool


def sweep(clients: Clients, bucket: str, *, stale_seconds: float = STALE_SECONDS) -> list[str]:
    """Delete what runs left behind whose main died.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.
        stale_seconds: How long a run's inventory has not been renewed, if it is not known whether
            its main has ended.

    Returns:
        The ids of the runs that were swept.
    """
    swept = []
    for run_id in folders_in(clients.s3, bucket, RUNS):
        with attempted(run_id, "sweep it"):  # one odd record must not keep the others
            if _sweep_if_dead(clients, bucket, run_id, stale_seconds):
                swept.append(run_id)
    return swept


def _sweep_if_dead(clients: Clients, bucket: str, run_id: str, stale_seconds: float) -> bool:
    silence = _silence_of(clients, bucket, run_id)
    if not silence.ended and silence.seconds < stale_seconds:
        return False
    left = find_leftovers(clients, run_id, silence.record)
    if not silence.ended and left.working:
        log.info("run=%s is silent, but its workers are not: it is left alone", run_id)
        return False
    steps: list[tuple[str, Callable[[], object]]] = [
        (f"end job {job}", functools.partial(_terminate, clients, job)) for job in left.jobs
    ]
    steps += [
        (f"delete queue {url}", functools.partial(delete_queue, clients, url))
        for url in left.queues
    ]
    complete = attempt_all(run_id, steps) and _is_all(left, silence.seconds)
    with attempted(run_id, "delete its objects"):
        # The inventory stays while anything is left that it names.
        kept = "" if complete else INVENTORY
        PayloadStore(clients.s3, bucket, run_prefix(run_id)).clear(keep=kept)
    log.info("run=%s swept: its main died", run_id)
    return True


def _is_all(left: Leftovers, seconds: float) -> bool:
    """Say whether nothing can come to light that was made at the last moment."""
    return not left.missing or seconds > UNKNOWN_SECONDS


def _silence_of(clients: Clients, bucket: str, run_id: str) -> _Silence:
    answer: Any
    try:
        answer = clients.s3.get_object(Bucket=bucket, Key=inventory_key(run_id))
        record = _content(answer["Body"].read())
        seconds = age_of(answer["LastModified"], answer)
        return _Silence(record, seconds, bool(record.get("over")) or has_ended(record))
    except clients.s3.exceptions.ClientError as error:
        if error_code(error) != "NoSuchKey":
            raise
    # The run's end was cut short after its inventory was deleted: only objects can be left.
    answer = clients.s3.list_objects_v2(Bucket=bucket, Prefix=run_prefix(run_id), MaxKeys=1)
    written = [item["LastModified"] for item in answer.get("Contents", [])]
    return _Silence({}, age_of(max(written, default=None), answer), ended=False)


def _content(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _terminate(clients: Clients, job: str) -> None:
    clients.batch.terminate_job(jobId=job, reason="Its main died")
