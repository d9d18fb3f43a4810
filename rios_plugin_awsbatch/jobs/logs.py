"""The log of a job: read once, or followed until the job has ended."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.batch import ENDED, advice_for, reason_of
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.aws.logs import LAG_SECONDS, LogStream
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

from .listing import describe
from .sweep import sweep_submission_of

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import GetLogEventsResponseTypeDef

__all__ = ["Ending", "follow", "log_lines"]

LOOK_SECONDS: Final = 1.0


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a job ended.

    Attributes:
        status: SUCCEEDED or FAILED.
        exit_status: Its exit status; 1 if it failed without one.
        sentence: What happened, and what to do if it failed.
    """

    status: str
    exit_status: int
    sentence: str


def log_lines(clients: Clients, stack: StackOutputs, job_id: str) -> Iterator[str]:
    """Yield the lines that the latest attempt of a job has logged so far.

    Raises:
        SubmissionError: There is no such job, it has not started, or AWS does not answer.
    """
    job = describe(clients, stack, job_id)
    _refuse_array(job)
    reader = _LogReader.of(clients, job, Patience())
    if reader is None:
        raise SubmissionError(f"Job {job_id} has no log yet: it is {_state(job)}.")
    yield from reader.new_lines()


def follow(  # noqa: PLR0913 - what it follows, and how it tells
    clients: Clients,
    stack: StackOutputs,
    job_id: str,
    show: Callable[[str], None],
    note: Callable[[str], None],
    *,
    new: bool = False,
) -> Ending:
    """Show what a job logs, until it has ended.

    An outage of any length is waited out: whoever follows can leave at any time.

    Args:
        clients: The AWS clients.
        stack: The stack.
        job_id: The job.
        show: Called with each line of its log.
        note: Called with each change of its state.
        new: Whether the job has just been submitted.

    Returns:
        How it ended.

    Raises:
        SubmissionError: There is no such job, or AWS refuses to answer.
    """
    patience = Patience(outage=math.inf)
    reader: _LogReader | None = None
    noted = ""
    ended_at: float | None = None
    while True:
        job = describe(clients, stack, job_id, patience, new=new)
        new = True  # it exists
        _refuse_array(job)
        ended = job["status"] in ENDED
        if not ended and _state(job) != noted:
            noted = _state(job)
            note(f"Job {job_id} is {noted}")
        if reader is None or not reader.reads(job):
            if reader is not None:
                note("Another attempt")
            reader = _LogReader.of(clients, job, patience)
        lines = [] if reader is None else list(reader.new_lines())
        for line in lines:
            show(line)
        if ended:
            ended_at = ended_at or time.monotonic()
            if reader is None or (not lines and time.monotonic() - ended_at >= LAG_SECONDS):
                sweep_submission_of(clients, stack.bucket, job_id)
                return _ending(job)
        time.sleep(LOOK_SECONDS)


class _LogReader:
    """Reads a log stream, each time from where it stopped before.

    Args:
        stream: The log stream.
        patience: Waits out an outage.
    """

    def __init__(self, stream: LogStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience
        self._token: str | None = None

    @classmethod
    def of(cls, clients: Clients, job: Any, patience: Patience) -> "_LogReader | None":
        """Return a reader for the latest attempt of a job; None if none has a log."""
        stream = LogStream.of(clients, job)
        return None if stream is None else cls(stream, patience)

    def reads(self, job: Any) -> bool:
        """Say whether the latest attempt of a job logs to this stream."""
        stream = job.get("container", {}).get("logStreamName")
        return not stream or stream == self._stream.name

    def new_lines(self) -> Iterator[str]:
        """Yield the lines that were added."""
        while (answer := self._page()) is not None:
            for event in answer["events"]:
                yield event["message"]
            if answer["nextForwardToken"] == self._token:
                return
            self._token = answer["nextForwardToken"]

    def _page(self) -> "GetLogEventsResponseTypeDef | None":
        what = f"Cannot read log stream {self._stream.name} of {self._stream.group}"
        with explained(SubmissionError, what):
            return self._patience.call(lambda: self._stream.page(self._token))


def _refuse_array(job: Any) -> None:
    size = job.get("arrayProperties", {}).get("size")
    if size:
        raise SubmissionError(
            f"Job {job['jobId']} is an array of {size} workers, each of which has its own log: "
            f"{job['jobId']}:0 to {job['jobId']}:{size - 1}."
        )


def _state(job: Any) -> str:
    """Return a job's status and, unless it has ended, Batch's reason for it."""
    reason = "" if job["status"] in ENDED else job.get("statusReason", "")
    return f"{job['status']} ({reason})" if reason else str(job["status"])


def _ending(job: Any) -> Ending:
    if job["status"] == "SUCCEEDED":
        return Ending("SUCCEEDED", 0, f"Job {job['jobId']} succeeded.")
    code = job.get("container", {}).get("exitCode")
    reason = reason_of(job)
    # A script's own exit status needs no advice about Batch.
    advice = advice_for(reason) if code is None or "OutOfMemory" in reason else ""
    return Ending("FAILED", code or 1, f"Job {job['jobId']} failed: {reason}. {advice}".rstrip())
