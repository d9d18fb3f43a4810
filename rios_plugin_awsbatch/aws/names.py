"""The names of what runs and submissions create in AWS."""

import re
import secrets
import time
from typing import Final, Literal

from rios_plugin_awsbatch.errors import StackError

__all__ = [
    "ARCHIVE",
    "INVENTORY",
    "RECORD",
    "RUNS",
    "RUN_ID",
    "SUBMISSIONS",
    "Role",
    "archive_key",
    "inventory_key",
    "name_of",
    "new_run_id",
    "queue_name",
    "queue_pattern",
    "queue_prefix",
    "record_key",
    "run_of_job",
    "run_of_queue",
    "run_prefix",
    "submission_prefix",
    "workers_job_name",
]

Role = Literal["tasks", "results"]

RUNS: Final = "runs/"
SUBMISSIONS: Final = "submissions/"
INVENTORY: Final = "run.json"
ARCHIVE: Final = "files.tar.gz"
RECORD: Final = "record.json"
# As `new_run_id` makes them, for runs and submissions.
RUN_ID: Final = r"\d{8}T\d{6}-[0-9a-f]{8}"
_WORKERS_JOB: Final = re.compile(f"rios-({RUN_ID})(?:-\\d+)?")
_RUN_QUEUE: Final = re.compile(f".+[Rr]un-({RUN_ID})-(?:tasks|results)")
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_QUEUE_CHARACTERS: Final = 80
# What a template other than this package's leaves of a stack's name, which may be long.
_STACK_CHARACTERS: Final = 40


def new_run_id() -> str:
    """Return a fresh id for a run or a submission: the time, and 32 random bits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def run_prefix(run_id: str) -> str:
    """Return the prefix of a run's objects in the stack's bucket."""
    return f"{RUNS}{run_id}/"


def inventory_key(run_id: str) -> str:
    """Return the key of a run's inventory, which main renews while it lives."""
    return f"{run_prefix(run_id)}{INVENTORY}"


def submission_prefix(identity: str) -> str:
    """Return the prefix of a submission's objects in the stack's bucket."""
    return f"{SUBMISSIONS}{identity}/"


def archive_key(identity: str) -> str:
    """Return the key of a submission's archive."""
    return f"{submission_prefix(identity)}{ARCHIVE}"


def record_key(identity: str) -> str:
    """Return the key of a submission's record, which says what to delete when its job has ended."""
    return f"{submission_prefix(identity)}{RECORD}"


def queue_prefix(stack: str) -> str:
    """Return how the names of the queues of runs begin, for a stack without an output of that.

    A stack of this package's template has one, `BatchRunQueuePrefix`, on which its roles rely.
    """
    return f"{stack[:_STACK_CHARACTERS]}-run-"


def queue_name(prefix: str, run_id: str, role: Role) -> str:
    """Return the name of a run's queue.

    Args:
        prefix: How the names of the stack's queues of runs begin.
        run_id: The run.
        role: What the queue is for.

    Raises:
        StackError: The prefix is too long for a queue's name.
    """
    name = f"{prefix}{run_id}-{role}"
    if len(name) > _QUEUE_CHARACTERS:
        raise StackError(
            f"The queues of a run cannot be called {prefix}...: a queue's name has at most "
            f"{_QUEUE_CHARACTERS} characters. Give the stack a short prefix for its names, with "
            "`rios-awsbatch stack modify --servicename` or its parameter ServiceName."
        )
    return name


def queue_pattern(prefix: str) -> re.Pattern[str]:
    """Return a pattern for the names of the queues of a stack's runs, and of no other stack's."""
    return re.compile(f"{re.escape(prefix)}{RUN_ID}-(tasks|results)")


def workers_job_name(run_id: str, launch: int) -> str:
    """Return the name of a Batch job of a run's workers.

    Args:
        run_id: The run's id.
        launch: Which of the run's jobs, from 1. So no other job has the name.
    """
    return f"rios-{run_id}-{launch}"


def run_of_job(name: str) -> str | None:
    """Return the id of the run whose workers a job is, by its name; None if it is no run's."""
    found = _WORKERS_JOB.fullmatch(name)
    return None if found is None else found.group(1)


def run_of_queue(name: str) -> str | None:
    """Return the id of the run that a queue belongs to, by its name; None if it is no run's."""
    found = _RUN_QUEUE.fullmatch(name)
    return None if found is None else found.group(1)


def name_of(arn: str) -> str:
    """Return the name in an ARN, a URL or a name of a job queue, a job definition or an SQS queue.

    A job definition's revision is dropped.
    """
    return arn.rpartition("/")[2].partition(":")[0]
