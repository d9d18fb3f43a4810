"""A user's script as the main job: its files into the bucket, the job onto the queue, and all of it swept in the end.

Batch lets a job override the command, the environment and the resources of its definition, but not the image. The stack
has two definitions for main scripts, one with the image of the workers and one with that of its repository for main.
For any other image a copy is registered for this one submission, and deregistered when its job has ended.

``submissions/<id>/record.json`` names the job and such a definition. Whoever sees that the job has ended deletes both:
the one who follows it, who cancels it, and otherwise the next to submit, or ``rios-awsbatch clean``.
"""

import contextlib
import dataclasses
import json
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.batch import (
    DESCRIBED_JOBS,
    ENDED,
    container_overrides,
    latest_definition,
)
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, explained, sentence_for
from rios_plugin_awsbatch.aws.names import RECORD, SUBMISSIONS, archive_key, new_run_id
from rios_plugin_awsbatch.aws.s3 import age_of, folders_in
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.run.sweep import STALE_SECONDS
from rios_plugin_awsbatch.settings import Settings, variables
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire.store import PayloadStore

from .files import read_record
from .pack import Script, pack

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["StackOutputs", "Submitted", "Wishes", "submit", "sweep_submissions", "tidy"]

log = logging.getLogger(__name__)

COMMAND: Final = "rios-awsbatch-main"
# What scripts can read to know how many threads were asked for.
THREADS: Final = "RIOS_AWSBATCH_THREADS"
# https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html: what a definition is made from.
_COPIED: Final = (
    "type",
    "parameters",
    "schedulingPriority",
    "containerProperties",
    "retryStrategy",
    "propagateTags",
    "timeout",
    "platformCapabilities",
)


@dataclasses.dataclass(frozen=True)
class Wishes:
    """How the main job is to run.

    Attributes:
        image: The image; ``worker[:TAG]`` and ``main[:TAG]`` are those in the stack's repositories. The image of the
            workers, if not given.
        command: Where no script travels: what the entry point of the image gets.
        vcpus: vCPUs of the main job; the definition's, if not given.
        memory: Its MiB of memory; as above.
        timeout: Seconds after which Batch ends it; as above.
        threads: How many threads RIOS is to be asked for.
        environment: Variables for the job.
    """

    image: str | None = None
    command: tuple[str, ...] = ()
    vcpus: float | None = None
    memory: int | None = None
    timeout: int | None = None
    threads: int | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A job that Batch has taken.

    Attributes:
        identity: The submission's id; empty if no files travelled.
        job_id: Batch's id of the job.
        size: Bytes of the archive.
        image: The image that the job runs in.
    """

    identity: str
    job_id: str
    size: int
    image: str


def submit(
    clients: Clients, settings: Settings, stack: StackOutputs, script: Script | None, wishes: Wishes
) -> Submitted:
    """Send the files and submit the main job.

    Args:
        clients: The AWS clients.
        settings: The settings; those that were given here hold for the main job as well.
        stack: What the stack offers.
        script: What travels; nothing, if the image brings its own script.
        wishes: How the job is to run.

    Raises:
        SubmissionError: The files cannot be sent, or Batch does not take the job. Nothing is left behind then.
    """
    identity = new_run_id()
    store = PayloadStore(clients.s3, stack.bucket, f"{SUBMISSIONS}{identity}/")
    environment = _environment(settings, stack, wishes)
    command = wishes.command
    record: dict[str, Any] = {"job": None, "definition": None}
    size = 0
    with contextlib.ExitStack() as undo:
        undo.callback(_quietly, "delete the files", store.clear)
        if script is not None:
            with tempfile.TemporaryFile() as archive:
                digest, size = pack(script, archive)
                with explained(
                    SubmissionError,
                    f"Cannot store {script.path} in bucket {stack.bucket} of {stack}",
                ):
                    clients.s3.upload_fileobj(archive, stack.bucket, archive_key(identity))
            environment["RIOS_AWSBATCH_SUBMISSION"] = f"{identity}:{digest}"
            command = (COMMAND,)
        with explained(SubmissionError, f"Cannot submit a job to {stack}"):
            image = _wanted_image(clients.batch, stack, wishes.image)
            definition, temporary = _definition_for(clients.batch, stack, image, identity)
            if temporary:
                record["definition"] = definition
                undo.callback(
                    _quietly,
                    f"deregister {definition}",
                    lambda: _deregister(clients.batch, definition),
                )
            if script is not None or temporary:
                store.put(RECORD, json.dumps(record).encode())
            overrides = container_overrides(environment, wishes.vcpus, wishes.memory)
            timeout: Any = (
                {}
                if wishes.timeout is None
                else {"timeout": {"attemptDurationSeconds": wishes.timeout}}
            )
            answer = clients.batch.submit_job(
                jobName=_job_name(script, image),
                jobQueue=stack.queues[0],
                jobDefinition=definition,
                containerOverrides={**overrides, **({"command": list(command)} if command else {})},
                **timeout,
            )
        undo.pop_all()
    record["job"] = answer["jobId"]
    if script is not None or temporary:
        # Without it, the sweep would take the submission for one that never became a job.
        with explained(
            SubmissionError, f"Job {answer['jobId']} is submitted, but its record cannot be stored"
        ):
            store.put(RECORD, json.dumps(record).encode())
    return Submitted(identity if script is not None else "", answer["jobId"], size, image)


def sweep_submissions(clients: Clients, bucket: str, *, ended: str | None = None) -> list[str]:
    """Delete what is left of submissions whose jobs have ended.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.
        ended: A job that has ended, or is being ended: only its submission is looked for.

    Returns:
        The ids of the submissions that are gone.
    """
    records = dict(_records(clients, bucket))
    if ended is not None:
        over = [identity for identity, record in records.items() if record.get("job") == ended]
    else:
        known = {
            identity: str(record["job"])
            for identity, record in records.items()
            if record.get("job")
        }
        living = _living(clients.batch, list(known.values()))
        over = [identity for identity, job in known.items() if job not in living]
        over += [
            i for i in records.keys() - known.keys() if _age(clients, bucket, i) > STALE_SECONDS
        ]
    for identity in over:
        _sweep_one(clients, bucket, identity, records[identity].get("definition"))
    return over


def tidy(clients: Clients, bucket: str, *, ended: str | None = None) -> None:
    """Same as `sweep_submissions`, but beside something that matters more than an error here."""
    _quietly("sweep submissions", lambda: sweep_submissions(clients, bucket, ended=ended))


def _sweep_one(clients: Clients, bucket: str, identity: str, definition: str | None) -> None:
    try:
        if definition is not None:
            _deregister(clients.batch, definition)
        PayloadStore(clients.s3, bucket, f"{SUBMISSIONS}{identity}/").clear()
    except AWS_ERRORS as error:
        # Its record stays, so that the next sweep finds what is left.
        log.warning("submission=%s could not be swept: %s", identity, sentence_for(error))


# --- the job


def _environment(settings: Settings, stack: StackOutputs, wishes: Wishes) -> dict[str, str]:
    """Return what the main job gets to know: the stack, the settings given here, and what was wished for."""
    names = {field: variables[0] for field, variables in variables_of(settings).items()}
    given = {
        names[field]: str(getattr(settings, field)) for field in sorted(settings.model_fields_set)
    }
    place = {"region": settings.region, "stack": settings.stack, "bucket": stack.bucket}
    threads = (
        {}
        if wishes.threads is None
        else {"RIOS_DFLT_JOBMGRTYPE": "AWSBatch", THREADS: str(wishes.threads)}
    )
    return {
        **given,
        **{names[field]: value for field, value in place.items()},
        **threads,
        **wishes.environment,
    }


def variables_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the variables of the settings that a main job may have from its submitter."""
    return {
        field: names for field, names in variables(type(settings)).items() if field != "submission"
    }


def _wanted_image(batch: "BatchClient", stack: StackOutputs, image: str | None) -> str:
    """Return the name of the image to run in."""
    if image is None:
        definition = stack.script_definition or stack.job_definition
        return str(_latest(batch, definition, stack)["containerProperties"]["image"])
    kind, _, tag = image.partition(":")
    field = {"worker": "repository", "main": "main_repository"}.get(kind)
    if field is None:
        return image
    stack.need(field)
    return f"{getattr(stack, field)}:{tag or 'latest'}"


def _definition_for(
    batch: "BatchClient", stack: StackOutputs, image: str, identity: str
) -> tuple[str, bool]:
    """Return the name of a job definition with an image, and whether it was registered for this submission."""
    for name in filter(None, (stack.script_definition, stack.main_definition)):
        main = _latest(batch, name, stack)
        if main["containerProperties"]["image"] == image:
            return str(main["jobDefinitionArn"]), False
    copied: Any = {name: main[name] for name in _COPIED if main.get(name)}
    copied["containerProperties"] = {**main["containerProperties"], "image": image}
    # Names that begin with "aws:" are CloudFormation's.
    copied["tags"] = {
        name: value for name, value in main.get("tags", {}).items() if not name.startswith("aws:")
    }
    copied["jobDefinitionName"] = f"{stack.main_definition[:90]}-{identity}"
    answer = batch.register_job_definition(**copied)
    return answer["jobDefinitionArn"], True


def _latest(batch: "BatchClient", name: str, stack: StackOutputs) -> Any:
    latest = latest_definition(batch, name)
    if latest is None:
        raise SubmissionError(
            f"There is no active job definition {name}; modify {stack}, or create it anew."
        )
    if not latest.get("containerProperties", {}).get("image"):
        raise SubmissionError(
            f"Job definition {name} is not one of a single container; a script cannot be submitted to it."
        )
    return latest


def _deregister(batch: "BatchClient", definition: str) -> None:
    batch.deregister_job_definition(jobDefinition=definition)


def _job_name(script: Script | None, image: str) -> str:
    name = script.path.stem if script is not None else image.rpartition("/")[2]
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
    return re.sub(r"[^A-Za-z0-9_-]", "-", name).lstrip("_-")[:128] or "main"


# --- the sweep


def _records(clients: Clients, bucket: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for identity in folders_in(clients.s3, bucket, SUBMISSIONS):
        yield identity, read_record(clients, bucket, identity)


def _living(batch: "BatchClient", jobs: list[str]) -> set[str]:
    """Return those jobs that have not ended; one that Batch has forgotten has."""
    parts = [jobs[start : start + DESCRIBED_JOBS] for start in range(0, len(jobs), DESCRIBED_JOBS)]
    described: list[Any] = [job for part in parts for job in batch.describe_jobs(jobs=part)["jobs"]]
    return {job["jobId"] for job in described if job["status"] not in ENDED}


def _age(clients: Clients, bucket: str, identity: str) -> float:
    listed = clients.s3.list_objects_v2(Bucket=bucket, Prefix=f"{SUBMISSIONS}{identity}/")
    return age_of(
        max((item["LastModified"] for item in listed.get("Contents", [])), default=None), listed
    )


def _quietly(what: str, step: Any) -> None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - why the submission failed matters more
        log.warning("could not %s: %s", what, sentence_for(error))
