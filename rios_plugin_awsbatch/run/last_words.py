"""How the logs of workers end that never were ready: only they say what Batch does not know."""

import logging
import time
from collections.abc import Iterable
from typing import Any, Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, sentence_for
from rios_plugin_awsbatch.aws.logs import LAG_SECONDS, LogStream

__all__ = ["last_words"]

log = logging.getLogger(__name__)

LINES: Final = 20  # among which is one that is not empty
CHARACTERS: Final = 600
PAUSE_SECONDS: Final = 0.5


def last_words(clients: Clients, jobs: Iterable[Any]) -> tuple[str, ...]:
    """Say how the logs of some workers end, each ending once.

    Args:
        clients: The AWS clients.
        jobs: Batch's descriptions of the workers.

    Returns:
        Sentences; none if nothing was logged, or main may not read it.
    """
    streams = {job["jobId"]: LogStream.of(clients, job) for job in jobs if _has_run(job)}
    deadline = time.monotonic() + LAG_SECONDS
    try:
        while streams:
            ends: dict[str, str] = {}
            for job_id, stream in streams.items():
                line = "" if stream is None else _last_line(stream)
                if line:
                    ends.setdefault(line, job_id)
            if ends or time.monotonic() > deadline:
                return tuple(_sentence(line, job_id) for line, job_id in ends.items())
            time.sleep(PAUSE_SECONDS)
    except AWS_ERRORS as error:
        log.info("the logs of workers cannot be read: %s", sentence_for(error))
    return ()


def _has_run(job: Any) -> bool:
    return job["status"] == "RUNNING" or "exitCode" in job.get("container", {})


def _last_line(stream: LogStream) -> str:
    lines = [line.strip() for line in stream.tail(LINES)]
    return next((line for line in reversed(lines) if line), "")[:CHARACTERS]


def _sentence(line: str, job_id: str) -> str:
    # What a job prints must not move the cursor of a terminal.
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
    return f'the log of worker {job_id} ends "{shown}" (`rios-awsbatch logs {job_id}` shows it)'
