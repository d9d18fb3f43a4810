"""The record of a submission: what to delete when its job has ended.

``submissions/<id>/record.json`` is written by `rios-awsbatch submit`. It is not a run's inventory
(``runs/<id>/run.json``): a run has queues and workers, a submission has files and a main job, which
usually starts a run of its own.
"""

import dataclasses
import json
from typing import Any

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_object
from rios_plugin_awsbatch.aws.names import record_key

__all__ = ["SubmissionRecord", "read_record", "write_record"]


@dataclasses.dataclass(frozen=True)
class SubmissionRecord:
    """What a submission created besides its files.

    Attributes:
        job: Batch's id of the main job; None before Batch has taken it.
        definition: ARN of the job definition that was registered for this submission; None if the
            job uses one of the stack's.
    """

    job: str | None = None
    definition: str | None = None


def read_record(clients: Clients, bucket: str, identity: str) -> SubmissionRecord:
    """Return a submission's record; an empty one if there is none, or none that can be read."""
    try:
        answer = clients.s3.get_object(Bucket=bucket, Key=record_key(identity))
        content: Any = json.loads(answer["Body"].read())
    except AWS_ERRORS as error:
        if not is_missing_object(error):
            raise
        return SubmissionRecord()
    except ValueError:
        return SubmissionRecord()
    if not isinstance(content, dict):
        return SubmissionRecord()
    job = content.get("job")
    # An odd job must not stop the sweep of all others; an odd definition is that one's error.
    return SubmissionRecord(job if isinstance(job, str) else None, content.get("definition"))


def write_record(clients: Clients, bucket: str, identity: str, record: SubmissionRecord) -> None:
    """Store a submission's record."""
    body = json.dumps(dataclasses.asdict(record)).encode()
    clients.s3.put_object(Bucket=bucket, Key=record_key(identity), Body=body)
