"""A user's script as a main job: its files go into the bucket, the job onto the queue.

The job's own variables are only those that it needs to fetch the files: whoever may describe jobs
can read them, and Batch allows 8,192 characters. The script's variables go with its files.

``submissions/<id>/record.json`` names the job and a job definition that was registered for it. When
the job has ended, both are deleted by whoever notices: the command that follows or cancels the job,
else the next submission, or ``rios-awsbatch clean`` (see `sweep`).
"""

import contextlib
import dataclasses
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import container_overrides
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.aws.names import archive_key, new_run_id, submission_prefix
from rios_plugin_awsbatch.errors import SettingsError, SubmissionError
from rios_plugin_awsbatch.run.labels import labels
from rios_plugin_awsbatch.settings import Settings, variables
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire.store import PayloadStore
from rios_plugin_awsbatch.wire.variables import env_items, looks_secret, resolved

from .definitions import definition_for, wanted_image
from .once import SUBMISSION_TAG, SubmittedOnce
from .pack import Script, pack
from .record import SubmissionRecord, write_record

__all__ = ["THREADS", "JobOptions", "Submitted", "submit"]

COMMAND: Final = "rios-awsbatch-main"
# Tells a script how many threads were asked for.
THREADS: Final = "RIOS_AWSBATCH_THREADS"
# What a job needs before it has the script's variables: settings, what boto3 reads, proxies.
_NEEDED_SETTINGS: Final = ("region", "stack", "bucket", "log_level", "submission")
_NEEDED: Final = re.compile(
    r"AWS_.*|.*_PROXY|REQUESTS_CA_BUNDLE|SSL_CERT_(FILE|DIR)", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """How the main job is to run.

    Attributes:
        image: The image; ``worker[:TAG]`` and ``main[:TAG]`` are those in the stack's repositories.
            None for the image of the workers.
        command: If no script travels: what the image's entry point gets.
        vcpus: vCPUs of the main job; None for the definition's.
        memory: Its memory in MiB; None for the definition's.
        timeout: Seconds after which Batch ends it; None for the definition's.
        threads: How many threads RIOS is asked for; None to leave that to the script.
        environment: Variables for the script, and for its workers.
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
    clients: Clients,
    settings: Settings,
    stack: StackOutputs,
    script: Script | None,
    options: JobOptions,
) -> Submitted:
    """Send the files and submit the main job.

    Args:
        clients: The AWS clients.
        settings: The settings; those that were given here hold for the main job as well.
        stack: The stack.
        script: What travels; None if the image holds its own script.
        options: How the job is to run.

    Raises:
        SubmissionError: The files cannot be sent, or Batch does not take the job. Nothing is left
            behind then.
        SettingsError: No files travel, and a variable that is only meant for workers looks like a
            credential.
    """
    identity, size = new_run_id(), 0
    environment = _environment(settings, stack, options)
    if script is None:
        _refuse_secrets(environment.items() - dict(options.environment).items())
    with contextlib.ExitStack() as undo:
        undo.callback(_delete_files, clients, stack, identity)
        if script is not None:
            digest, size = _upload(clients, stack, identity, script, environment)
            environment = _needed_by_the_job(environment)
            environment[variables(Settings)["submission"][0]] = f"{identity}:{digest}"
            options = dataclasses.replace(options, command=(COMMAND,))
        with explained(SubmissionError, f"Cannot submit a job to {stack}"):
            image = wanted_image(clients.batch, stack, options.image)
            definition = definition_for(clients.batch, stack, image, identity)
            record = SubmissionRecord(definition=definition.arn if definition.registered else None)
            if definition.registered:
                undo.callback(_deregister, clients, identity, definition.arn)
            recorded = definition.registered or script is not None
            if recorded:
                write_record(clients, stack.bucket, identity, record)
            name = _job_name(script.path.stem if script else image.rpartition("/")[2])
            request = _request(stack, name, definition.arn, environment, options)
            tags = {SUBMISSION_TAG: identity, **labels(script=name)}
            job = SubmittedOnce(clients, identity, {**request, "tags": tags, "propagateTags": True})
            undo.callback(job.end_unknown)
            job_id = job.submit()
        undo.pop_all()
    if recorded:
        # A record without a job would be taken for a submission that failed, and swept.
        what = f"Job {job_id} is submitted, but its record cannot be stored"
        with explained(SubmissionError, what):
            record = dataclasses.replace(record, job=job_id)
            write_record(clients, stack.bucket, identity, record)
    return Submitted(identity if script else "", job_id, size, image)


def _upload(
    clients: Clients,
    stack: StackOutputs,
    identity: str,
    script: Script,
    environment: Mapping[str, str],
) -> tuple[str, int]:
    """Store the archive; return its SHA-256 and its size."""
    what = f"Cannot store {script.path} in bucket {stack.bucket} of {stack}"
    with tempfile.TemporaryFile() as archive:
        digest, size = pack(script, archive, environment)
        with explained(SubmissionError, what):
            clients.s3.upload_fileobj(archive, stack.bucket, archive_key(identity))
    return digest, size


def _delete_files(clients: Clients, stack: StackOutputs, identity: str) -> None:
    with attempted(identity, "delete its files", kind="submission"):
        PayloadStore(clients.s3, stack.bucket, submission_prefix(identity)).clear()


def _deregister(clients: Clients, identity: str, definition: str) -> None:
    with attempted(identity, f"deregister {definition}", kind="submission"):
        clients.batch.deregister_job_definition(jobDefinition=definition)


def _needed_by_the_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without which the job cannot fetch the others; no credentials."""
    known = variables(Settings)
    settings = {name for field in _NEEDED_SETTINGS for name in known[field]}
    return {
        name: value
        for name, value in environment.items()
        if name in settings or (_NEEDED.fullmatch(name) and not looks_secret(name, value))
    }


def _environment(settings: Settings, stack: StackOutputs, options: JobOptions) -> dict[str, str]:
    """Return the script's variables: the settings given here, the stack, and the options."""
    names = {field: known[0] for field, known in variables(type(settings)).items()}
    # This script's own files are not those of the job, and its variables have values here.
    given = settings.model_fields_set - {"submission", "env"}
    values = {
        **{field: getattr(settings, field) for field in sorted(given)},
        "region": settings.region,
        "stack": settings.stack,
        "bucket": stack.bucket,
    }
    environment = {names[field]: str(value) for field, value in values.items()}
    if options.threads is not None:
        environment |= {"RIOS_DFLT_JOBMGRTYPE": "AWSBatch", THREADS: str(options.threads)}
    return environment | _for_workers(settings, options, names["env"])


def _for_workers(settings: Settings, options: JobOptions, name: str) -> dict[str, str]:
    """Return the variables of the script that its workers get too, and the one that says so."""
    here = {**os.environ, **options.environment}
    variables = resolved(env_items(settings.env), here) | dict(options.environment)
    said = [variables.pop(name)] if name in variables else []
    # What the script's process has as PYTHONPATH is about the main job's own disk.
    forwarded = [
        f"{one}={value}" if one == "PYTHONPATH" else one
        for one, value in variables.items()
        if not one.startswith(("RIOS_AWSBATCH_", "RIOS_DFLT_"))
    ]
    everything = [*said, *forwarded]
    return variables | ({name: ",".join(everything)} if everything else {})


def _refuse_secrets(variables: Iterable[tuple[str, str]]) -> None:
    """Keep credentials out of a job without files: whoever may describe jobs can read them."""
    for name in sorted(name for name, value in variables if looks_secret(name, value)):
        raise SettingsError(
            f"RIOS_AWSBATCH_ENV sends {name} to the workers, which looks like a credential. "
            "Without a script to send, a main job has it among its variables, and whoever may "
            "describe jobs can read these. Let the image get it from a secret store, give the "
            "job's role the permission that it stands for, or accept that with "
            f"--env {name}=VALUE."
        )


def _request(
    stack: StackOutputs,
    name: str,
    definition: str,
    environment: dict[str, str],
    options: JobOptions,
) -> dict[str, Any]:
    overrides = container_overrides(environment, options.vcpus, options.memory)
    if options.command:
        overrides["command"] = list(options.command)
    timeout: Any = {}
    if options.timeout is not None:
        timeout["timeout"] = {"attemptDurationSeconds": options.timeout}
    return {
        "jobName": name,
        "jobQueue": stack.queues[0],
        "jobDefinition": definition,
        "containerOverrides": overrides,
        **timeout,
    }


def _job_name(name: str) -> str:
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
    return re.sub(r"[^A-Za-z0-9_-]", "-", name).lstrip("_-")[:128] or "main"
