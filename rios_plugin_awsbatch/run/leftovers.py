"""What is left of a run in AWS: what its inventory names, as far as it bears the run's id."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.batch import DESCRIBED_JOBS, ENDED, jobs_named
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import error_code
from rios_plugin_awsbatch.aws.names import name_of, run_of_job, run_of_queue
from rios_plugin_awsbatch.aws.s3 import in_batches

__all__ = ["Leftovers", "find_leftovers"]

log = logging.getLogger(__name__)

_WORKING: Final = ("STARTING", "RUNNING")
_NO_SUCH_QUEUE: Final = "ClientException"  # Batch has no code of its own for that


@dataclasses.dataclass(frozen=True)
class Leftovers:
    """What is left of a run.

    Attributes:
        queues: URLs of its queues.
        jobs: Ids of its jobs that have not ended.
        working: Whether one of its workers has a place.
        missing: Whether something was not found that may have been made.
    """

    queues: tuple[str, ...]
    jobs: tuple[str, ...]
    working: bool
    missing: bool


def find_leftovers(clients: Clients, run_id: str, record: Mapping[str, Any]) -> Leftovers:
    """Look for what a run owns.

    Args:
        clients: The AWS clients.
        run_id: The run's id.
        record: The content of its inventory, which others may have written.
    """
    queues, no_queue = _queues(clients, run_id, record)
    jobs = {job["jobId"]: job for job in _jobs(clients, run_id, record)}
    found = {job["jobName"] for job in jobs.values()}
    unfinished = [job for job in jobs.values() if job["status"] not in ENDED]
    return Leftovers(
        tuple(queues),
        tuple(job["jobId"] for job in unfinished),
        any(map(_is_working, unfinished)),
        # Main itself has deleted queues at the end of a run that is over.
        (no_queue and not record.get("over")) or not found.issuperset(_texts(record, "launches")),
    )


def _queues(clients: Clients, run_id: str, record: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the URLs of queues that exist, and whether any of them does not."""
    urls = []
    names = [name_of(text) for text in _texts(record, "queues")]
    own = [name for name in names if run_of_queue(name) == run_id]
    _tell_foreign(run_id, "queues", len(names) - len(own))
    for name in own:
        listed = clients.sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", [])
        urls += [url for url in listed if name_of(url) == name]
    return urls, len(urls) < len(own)


def _jobs(clients: Clients, run_id: str, record: Mapping[str, Any]) -> Iterator[Any]:
    """Yield Batch's summaries and descriptions of the jobs; the latter say more, and come later."""
    listed = [job for job in _listed(clients, run_id, record) if _is_of(job, run_id)]
    yield from listed
    ids = dict.fromkeys([*(job["jobId"] for job in listed), *_texts(record, "jobs")])
    for part in in_batches(list(ids), DESCRIBED_JOBS):
        described: list[Any] = list(clients.batch.describe_jobs(jobs=part)["jobs"])
        own = [job for job in described if _is_of(job, run_id)]
        _tell_foreign(run_id, "jobs", len(described) - len(own))
        yield from own


def _listed(clients: Clients, run_id: str, record: Mapping[str, Any]) -> list[Any]:
    queue = record.get("job_queue")
    if not isinstance(queue, str) or not queue:
        return []
    try:
        return jobs_named(clients.batch, queue, f"rios-{run_id}*")
    except botocore.exceptions.ClientError as error:
        if error_code(error) != _NO_SUCH_QUEUE:
            raise
        return []


def _is_of(job: Any, run_id: str) -> bool:
    return run_of_job(job["jobName"]) == run_id


def _is_working(job: Any) -> bool:
    counts = job.get("arrayProperties", {}).get("statusSummary", {})
    return job["status"] in _WORKING or any(counts.get(status) for status in _WORKING)


def _texts(record: Mapping[str, Any], field: str) -> list[str]:
    values = record.get(field)
    return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []


def _tell_foreign(run_id: str, what: str, number: int) -> None:
    if number:
        log.warning(
            "run=%s its record names %d %s that are not this run's; they are left alone",
            run_id,
            number,
            what,
        )
