"""What is left of submissions whose jobs have ended: files, records, job definitions."""

import logging
from typing import TYPE_CHECKING, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import DESCRIBED_JOBS, ENDED, UNKNOWN_SECONDS
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import is_denied
from rios_plugin_awsbatch.aws.names import SUBMISSIONS, submission_prefix
from rios_plugin_awsbatch.aws.s3 import age_of, folders_in, in_batches
from rios_plugin_awsbatch.wire.store import PayloadStore

from .record import SubmissionRecord, read_record

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["sweep_submission_of", "sweep_submissions"]

log = logging.getLogger(__name__)

STALE_SECONDS: Final = 1800.0  # for a submission that has not come to its job


def sweep_submissions(clients: Clients, bucket: str) -> list[str]:
    """Delete what is left of submissions whose jobs have ended, or never came to be.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.

    Returns:
        The ids of the submissions.
    """
    records = _records(clients, bucket)
    states = _states(clients.batch, [record.job for record in records.values() if record.job])

    def is_over(identity: str) -> bool:
        job = records[identity].job
        if job in states:
            return states[job] in ENDED
        # Batch has forgotten the job, or does not know it yet; or it has never been submitted.
        needed = STALE_SECONDS if job is None else UNKNOWN_SECONDS
        return _age(clients, bucket, identity) > needed

    over = [identity for identity in records if is_over(identity)]
    for identity in over:
        _sweep(clients, bucket, identity, records[identity])
    return over


def sweep_submission_of(clients: Clients, bucket: str, job_id: str) -> None:
    """Delete what is left of the submission of a job that has ended or is being ended.

    An error is logged: the next sweep tries again.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.
        job_id: Batch's id of the job.
    """
    with attempted(job_id, "sweep its submission", kind="job"):
        for identity, record in _records(clients, bucket).items():
            if record.job == job_id:
                _sweep(clients, bucket, identity, record)


def _sweep(clients: Clients, bucket: str, identity: str, record: SubmissionRecord) -> None:
    # If the first step fails, the record stays, and the next sweep finds what is left.
    with attempted(identity, "delete what is left", kind="submission"):
        if record.definition is not None and not _deregistered(clients, record.definition):
            log.info(
                "submission=%s is another's to tidy up: job definition %s may not be deregistered",
                identity,
                record.definition,
            )
            return
        PayloadStore(clients.s3, bucket, submission_prefix(identity)).clear()


def _deregistered(clients: Clients, definition: str) -> bool:
    """Deregister a job definition; say whether that is allowed.

    Who may run main scripts may not, and the definition costs nothing.
    """
    try:
        clients.batch.deregister_job_definition(jobDefinition=definition)
    except botocore.exceptions.ClientError as error:
        if not is_denied(error):
            raise
        return False
    return True


def _records(clients: Clients, bucket: str) -> dict[str, SubmissionRecord]:
    return {
        identity: read_record(clients, bucket, identity)
        for identity in folders_in(clients.s3, bucket, SUBMISSIONS)
    }


def _states(batch: "BatchClient", jobs: list[str]) -> dict[str | None, str]:
    """Return the states of those jobs that Batch knows."""
    return {
        job["jobId"]: job["status"]
        for part in in_batches(jobs, DESCRIBED_JOBS)
        for job in batch.describe_jobs(jobs=part)["jobs"]
    }


def _age(clients: Clients, bucket: str, identity: str) -> float:
    """Return how many seconds ago the submission's latest object was written."""
    listed = clients.s3.list_objects_v2(Bucket=bucket, Prefix=submission_prefix(identity))
    written = [item["LastModified"] for item in listed.get("Contents", [])]
    return age_of(max(written, default=None), listed)
