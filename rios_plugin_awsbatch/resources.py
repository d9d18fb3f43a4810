"""What a run owns in AWS: made when it begins, gone when it ends, swept by the next run if it could not end.

Everything of a run is under ``runs/<run id>/`` in the stack's bucket, and in two queues named after the stack and
the run. ``runs/<run id>/run.json`` names the queues and jobs; main rewrites it while it lives, so a record that has
not been rewritten for a while is that of a run whose main died.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from .awserrors import error_code, explained, is_missing_queue, sentence_for
from .errors import StackError
from .exchange import Clients, Exchange, MessageQueue, PayloadStore, s3_age
from .messages import RunKey, peek_run
from .settings import INLINE_MARGIN, Settings
from .stack import StackOutputs

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

__all__ = ["RunRecord", "new_run_id", "run_resources", "sweep", "teardown"]

log = logging.getLogger(__name__)

RECORD_SECONDS: Final = 300.0  # between two rewrites of the record
STALE_SECONDS: Final = 6 * RECORD_SECONDS
RUNS: Final = "runs/"
_RECORD: Final = "run.json"
_QUEUE_ATTRIBUTES: "Final[Mapping[QueueAttributeNameType, str]]" = {
    "MaximumMessageSize": str(1024 * 1024),
    "MessageRetentionPeriod": str(14 * 24 * 3600),
    "SqsManagedSseEnabled": "true",
}


def new_run_id() -> str:
    """Return a fresh run id: when, and 32 random bits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


@contextlib.contextmanager
def teardown(run_id: str) -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """Collect steps to take at the end, last in first out; one that fails is logged, and the next is taken.

    Yields:
        A function that takes what a step does, in words, and the step.
    """

    def guarded(what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("run=%s could not %s: %s", run_id, what, sentence_for(error))

    with contextlib.ExitStack() as steps:

        def undo(what: str, step: Callable[[], None]) -> None:
            steps.callback(guarded, what, step)

        yield undo


class RunRecord:
    """The object that names what a run owns.

    Args:
        store: The run's store.
        queues: URLs of the queues that the run creates; read at each write, as they are created after the first.
    """

    def __init__(self, store: PayloadStore, queues: Sequence[str]) -> None:
        self._store = store
        self._queues = queues
        self._content: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}

    def write(self, jobs: Sequence[str] = ()) -> None:
        """Store the record, and say by that that main is alive.

        Args:
            jobs: Ids of the run's Batch jobs.
        """
        content = {**self._content, "queues": list(self._queues), "jobs": list(jobs)}
        self._store.put(_RECORD, json.dumps(content).encode())


@contextlib.contextmanager
def run_resources(
    settings: Settings, stack: StackOutputs, clients: Clients, key: RunKey
) -> Iterator[tuple[Exchange, RunRecord]]:
    """Make what a run owns, and delete it in the end.

    Raises:
        StackError: The bucket or a queue is missing or may not be used; or a given queue is in use by another run.
    """
    store = PayloadStore(clients.s3, stack.bucket, f"{RUNS}{key.run}/")
    created: list[str] = []
    with teardown(key.run) as undo:
        record = RunRecord(store, created)
        with explained(StackError, f"Cannot use bucket {stack.bucket} of stack {stack.stack}"):
            record.write()
        undo("delete the run's objects", store.clear)
        if settings.in_queue and settings.out_queue:
            urls = (settings.in_queue, settings.out_queue)
            for url in urls:
                with explained(StackError, f"Cannot use queue {url}"):
                    _refuse_used(MessageQueue(clients.sqs, url))
            for url in urls:  # only when both are known to be nobody else's
                undo(f"empty queue {url}", MessageQueue(clients.sqs, url).drain)
            limit = min(settings.inline_limit, *(_room_in(clients, url) for url in urls))
        else:
            for role in ("tasks", "results"):
                with explained(StackError, f"Cannot use a queue for the {role} of run {key.run}"):
                    created.append(_create_queue(clients, stack.stack, key.run, role))
                undo(f"delete the queue of {role}", _deleter(clients, created[-1]))
                record.write()
            urls = (created[0], created[1])
            limit = settings.inline_limit
        tasks, results = (MessageQueue(clients.sqs, url) for url in urls)
        yield Exchange(tasks, results, store, key, limit), record


def sweep(clients: Clients, bucket: str, *, stale_seconds: float = STALE_SECONDS) -> list[str]:
    """Delete what runs left behind whose main died.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.
        stale_seconds: How long a run's record has not been rewritten.

    Returns:
        The ids of the runs that were swept.
    """
    swept = []
    pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RUNS, Delimiter="/")
    for prefix in [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", [])]:
        run_id = prefix.removeprefix(RUNS).rstrip("/")
        content = _stale_record(clients, bucket, prefix, stale_seconds)
        if content is None:
            continue
        with teardown(run_id) as undo:
            undo("delete its objects", PayloadStore(clients.s3, bucket, prefix).clear)
            for url in content.get("queues", []):
                undo(f"delete queue {url}", _deleter(clients, url))
            for job in content.get("jobs", []):
                undo(f"end job {job}", _terminator(clients, job))
        log.info("run=%s swept: its main died", run_id)
        swept.append(run_id)
    return swept


def _stale_record(clients: Clients, bucket: str, prefix: str, stale_seconds: float) -> dict[str, Any] | None:
    """Return what the record of a stale run says, or None for one that lives."""
    response: Any
    try:
        response = clients.s3.get_object(Bucket=bucket, Key=prefix + _RECORD)
        content = json.loads(response["Body"].read())
        touched = response["LastModified"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "NoSuchKey":
            raise
        # The run's end was cut short after its record was deleted: only objects can be left.
        response = clients.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        touched, content = max((item["LastModified"] for item in response.get("Contents", [])), default=None), {}
    except ValueError:
        touched, content = response["LastModified"], {}
    if s3_age(touched, response) < stale_seconds:
        return None
    return content if isinstance(content, dict) else {}


def _create_queue(clients: Clients, stack: str, run_id: str, role: str) -> str:
    # The worker's policy allows queues by this pattern.
    name = f"{stack[:40]}-run-{run_id}-{role}"
    return clients.sqs.create_queue(QueueName=name, Attributes=_QUEUE_ATTRIBUTES)["QueueUrl"]


def _deleter(clients: Clients, url: str) -> Callable[[], None]:
    def delete() -> None:
        try:
            clients.sqs.delete_queue(QueueUrl=url)
        except botocore.exceptions.ClientError as error:
            if not is_missing_queue(error):
                raise

    return delete


def _terminator(clients: Clients, job: str) -> Callable[[], None]:
    def terminate() -> None:
        clients.batch.terminate_job(jobId=job, reason="Its main died")

    return terminate


def _room_in(clients: Clients, url: str) -> int:
    """Return how many bytes of payload fit into a message of a queue: three quarters, as Base64, less the rest."""
    with explained(StackError, f"Cannot use queue {url}"):
        attributes = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])
    return max(int(attributes["Attributes"]["MaximumMessageSize"]) * 3 // 4 - INLINE_MARGIN, 0)


def _refuse_used(queue: MessageQueue) -> None:
    """Raise if a queue that was given holds messages, which can only be another run's."""
    for received in queue.receive(1, wait=0, visibility=0):
        owner = peek_run(received.body)
        raise StackError(
            f"Queue {queue.url} holds messages of {f'run {owner}' if owner else 'something else'}; one run at a time "
            "may own it. Wait for that run to end, or purge the queue."
        )
