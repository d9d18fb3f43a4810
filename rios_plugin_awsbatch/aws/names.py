"""The names of things in AWS that runs and submissions make."""

import re
import secrets
import time
from typing import Final, Literal

__all__ = [
    "ARCHIVE",
    "RECORD",
    "RUNS",
    "RUN_ID",
    "SUBMISSIONS",
    "Role",
    "archive_key",
    "name_of",
    "new_run_id",
    "queue_name",
    "queue_pattern",
    "queue_prefix",
    "record_key",
    "run_prefix",
    "submission_prefix",
]

Role = Literal["tasks", "results"]

RUNS: Final = "runs/"
SUBMISSIONS: Final = "submissions/"
ARCHIVE: Final = "files.tar.gz"
RECORD: Final = "record.json"
# As `new_run_id` makes them, for runs and submissions.
RUN_ID: Final = r"\d{8}T\d{6}-[0-9a-f]{8}"
# A queue's name has 80 characters at most; a stack's may have more than fit.
_STACK_CHARACTERS: Final = 40


def new_run_id() -> str:
    """Return a fresh id of a run or a submission: when, and 32 random bits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def run_prefix(run_id: str) -> str:
    """Return the prefix of a run's objects in the stack's bucket."""
    return f"{RUNS}{run_id}/"


def submission_prefix(identity: str) -> str:
    """Return the prefix of a submission's objects in the stack's bucket."""
    return f"{SUBMISSIONS}{identity}/"


def archive_key(identity: str) -> str:
    """Return the key of a submission's archive."""
    return f"{submission_prefix(identity)}{ARCHIVE}"


def record_key(identity: str) -> str:
    """Return the key of a submission's record, which names what to sweep after its job."""
    return f"{submission_prefix(identity)}{RECORD}"


def queue_prefix(stack: str) -> str:
    """Return how the names of a stack's queues begin. The roles' policies allow queues by it."""
    return f"{stack[:_STACK_CHARACTERS]}-run-"


def queue_name(stack: str, run_id: str, role: Role) -> str:
    """Return the name of a run's queue."""
    return f"{queue_prefix(stack)}{run_id}-{role}"


def queue_pattern(stack: str) -> re.Pattern[str]:
    """Return what the names of a stack's queues match, and no other stack's do."""
    return re.compile(f"{re.escape(queue_prefix(stack))}{RUN_ID}-(tasks|results)")


def name_of(arn: str) -> str:
    """Return the name in an ARN, a URL or a name, without a job definition's revision."""
    return arn.rpartition("/")[2].partition(":")[0]
