"""One attempt of a job: what it is started with, and how it ended."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .environment import job_environment
from .jobs import Attempt, Job, Outcome
from .processes import JobProcess

__all__ = ["Surroundings", "run_attempt"]

_ENTRY_POINT: Final = "rios-awsbatch-worker"  # of every image
_MISSING_IMAGE: Final = "missing/"


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What all jobs have in common.

    Attributes:
        environment: Their environment variables.
        scratch: A folder. Each attempt has a folder in it, which is deleted when it ends.
        log: Takes the name of a log group, that of a log stream, and a line of output.
        credentials: Gives the variables through which a job gets the credentials of a role, and
            takes them back when the attempt has ended.
    """

    environment: Mapping[str, str]
    scratch: Path
    log: Callable[[str, str, str], None]
    credentials: Callable[[str], contextlib.AbstractContextManager[Mapping[str, str]]]


def run_attempt(
    job: Job,
    attempt: Attempt,
    surroundings: Surroundings,
    start: Callable[[Callable[[], JobProcess]], JobProcess | None],
    meanwhile: contextlib.AbstractContextManager[None],
) -> Outcome:
    """Run a job's process to its end.

    Args:
        job: The job.
        attempt: The attempt.
        surroundings: What all jobs have in common.
        start: Is given what starts the process; returns None if the job is not to start any more.
        meanwhile: Entered while the process runs.
    """
    if job.spec.image.startswith(_MISSING_IMAGE):
        reason = f"CannotPullContainerError: there is no image {job.spec.image}"
        return Outcome(reason=reason, status_reason=reason)
    scratch = tempfile.TemporaryDirectory(dir=surroundings.scratch, ignore_cleanup_errors=True)
    with scratch as folder, surroundings.credentials(job.spec.role) as credentials:
        try:
            process = start(lambda: _process(job, surroundings, Path(folder), credentials))
        except (OSError, ValueError) as error:
            return Outcome(
                reason=f"CannotStartContainerError: {error}", status_reason="Task failed to start"
            )
        if process is None:
            return Outcome()
        with meanwhile:
            code = process.wait(
                lambda line: surroundings.log(job.spec.log_group, attempt.log_stream, line)
            )
        return Outcome(exit_code=code)


def _process(
    job: Job, surroundings: Surroundings, folder: Path, credentials: Mapping[str, str]
) -> JobProcess:
    command = job.spec.command or (_ENTRY_POINT,)
    container = {**surroundings.environment, "TMPDIR": str(folder)}
    given = job_environment(container, job.spec.environment)
    environment = {**given, **_identity(job), **credentials}
    return JobProcess(command, environment, folder, first=job.fate.first and not job.spec.init)


def _identity(job: Job) -> dict[str, str]:
    """Return what Batch tells every job about itself.

    Source: https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
    """
    array = {}
    if job.parent is not None:
        array["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.index)
        array["AWS_BATCH_JOB_ARRAY_SIZE"] = str(len(job.parent.children))
    return {
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(len(job.attempts)),
        "AWS_BATCH_JQ_NAME": job.spec.queue_name,
        "AWS_BATCH_CE_NAME": job.spec.compute_environment,
        **array,
    }
