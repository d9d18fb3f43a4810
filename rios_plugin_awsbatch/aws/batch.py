"""Facts about AWS Batch: states, reasons and what to do about them, job definitions, overrides."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

__all__ = [
    "DESCRIBED_JOBS",
    "ENDED",
    "STATES",
    "UNFINISHED",
    "UNKNOWN_SECONDS",
    "advice_for",
    "container_overrides",
    "copy_with_image",
    "image_of",
    "jobs_named",
    "latest_definition",
    "machine_was_lost",
    "misconfiguration_in",
    "reason_of",
]

# https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
UNFINISHED: "Final[tuple[JobStatusType, ...]]" = (
    "SUBMITTED",
    "PENDING",
    "RUNNABLE",
    "STARTING",
    "RUNNING",
)
ENDED: "Final[tuple[JobStatusType, ...]]" = ("SUCCEEDED", "FAILED")
STATES: Final = (*UNFINISHED, *ENDED)
# Ids in one request: https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
DESCRIBED_JOBS: Final = 100
# For how long DescribeJobs and ListJobs may not know a job that SubmitJob has taken. AWS names no
# limit; Airflow and Metaflow have met it (apache/airflow#37552, Netflix/metaflow#543).
UNKNOWN_SECONDS: Final = 60.0

# https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
_COPIED: Final = (
    "jobDefinitionName",
    "type",
    "parameters",
    "schedulingPriority",
    "containerProperties",
    "retryStrategy",
    "propagateTags",
    "timeout",
    "platformCapabilities",
)

# How Batch's reason begins if a job has lost its machine, to Spot mostly:
# https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
# https://docs.aws.amazon.com/batch/latest/userguide/fargate.html
_MACHINE_LOST: Final = ("Host EC2", "Your Spot Task was interrupted")
# https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
_MISCONFIGURED: Final = "MISCONFIGURATION:"

# Words in Batch's reason -> what to do. Batch gives no codes.
_ADVICE: Final = {
    ("CannotPull", "pull image"): """
        The image cannot be pulled: push it to the stack's repository, or correct its name in the
        job definition.""",
    ("ResourceInitializationError",): """
        The job could not be set up before its container began, mostly because its subnets cannot
        reach ECR and CloudWatch: give jobs public addresses, or give the subnets a NAT gateway or
        endpoints.""",
    ("exec format error",): """
        The image is for another architecture than the machines: build it with `rios-awsbatch image
        build --platform` for that of the stack (its output BatchArchitecture), and push it.""",
    ("CannotStartContainer", "executable file not found", "no such file or directory"): """
        The container's program is not in the image: it must have rios-awsbatch-worker as its entry
        point. Build it with `rios-awsbatch image build`, or FROM an image built so, and push it.
        """,
    ("ModuleNotFoundError", "ImportError"): """
        The image lacks a package, or one of them is broken: build it with `rios-awsbatch image
        build`, and push it.""",
    ("do not allow that", "AccessDenied"): """
        The job's role lacks a permission: `rios-awsbatch stack modify` restores the stack's own
        policies; a role of your own needs that of the stack's BatchWorkerRole.""",
    ("OutOfMemory", "memory usage"): """
        The container ran out of memory: give the job definition more, or make the blocks
        smaller.""",
    _MACHINE_LOST: """
        The machine was taken away, or has broken, each time before the work was done: use more
        instance types or zones for Spot, On-Demand machines (`rios-awsbatch stack modify --compute
        ec2`), or smaller blocks.""",
    ("exit code 137",): """
        The container was killed, and Batch does not say why: if its memory ran out, give the job
        definition more, or make the blocks smaller; else its machine was lost, or it did not end in
        time when it was told to.""",
    ("RESOURCE", "MISCONFIGURATION"): """
        The compute environment cannot run such a job: compare vcpus and memory with its instance
        types.""",
}
_NO_ADVICE: Final = "The workers' log streams, in the log group of the job definition, say more."


def container_overrides(
    environment: Mapping[str, str], vcpus: float | None, memory: int | None
) -> Any:
    """Return container overrides: what a job changes of its job definition.

    Args:
        environment: Its environment variables.
        vcpus: Its vCPUs, if not the job definition's.
        memory: Its memory in MiB, if not the job definition's.
    """
    wanted = {
        "VCPU": None if vcpus is None else f"{vcpus:g}",
        "MEMORY": None if memory is None else str(memory),
    }
    requirements = [
        {"type": kind, "value": value} for kind, value in wanted.items() if value is not None
    ]
    return {
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        **({"resourceRequirements": requirements} if requirements else {}),
    }


def latest_definition(batch: "BatchClient", name: str) -> Any:
    """Return Batch's description of a job definition.

    Args:
        batch: The client.
        name: Its name, for the latest active revision; or its name and revision, as in ``name:3``;
            or its ARN.

    Returns:
        The description; None if there is no such active definition.
    """
    name, _, revision = name.rpartition("/")[2].partition(":")
    pages = batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName=name, status="ACTIVE"
    )
    found: list[Any] = [
        definition
        for page in pages
        for definition in page["jobDefinitions"]
        if not revision or str(definition["revision"]) == revision
    ]
    return max(found, key=lambda definition: definition["revision"], default=None)


def copy_with_image(definition: Any, image: str) -> Any:
    """Return what registers a copy of a job definition that differs in its image.

    Args:
        definition: Batch's description of the definition.
        image: The copy's image.
    """
    copied: Any = {name: definition[name] for name in _COPIED if definition.get(name)}
    copied["containerProperties"] = {**definition["containerProperties"], "image": image}
    # Only CloudFormation may give tags whose names begin with "aws:".
    tags = definition.get("tags", {})
    copied["tags"] = {name: tags[name] for name in tags if not name.startswith("aws:")}
    return copied


def image_of(definition: Any) -> str:
    """Return the image of a job definition's container; empty if it has more than one container."""
    return str(definition.get("containerProperties", {}).get("image", ""))


def jobs_named(batch: "BatchClient", job_queue: str, name: str) -> list[Any]:
    """Return Batch's summaries of the jobs of a name, in every state.

    Args:
        batch: The client.
        job_queue: The job queue.
        name: The name; with ``*`` at its end, all names that begin so.
    """
    # With this filter, ListJobs does not look at the state:
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
    pages = batch.get_paginator("list_jobs").paginate(
        jobQueue=job_queue, filters=[{"name": "JOB_NAME", "values": [name]}]
    )
    return [job for page in pages for job in page["jobSummaryList"]]


def machine_was_lost(job: Any) -> bool:
    """Say whether a job failed because its machine was reclaimed or broke."""
    return str(job.get("statusReason", "")).startswith(_MACHINE_LOST)


def misconfiguration_in(reasons: Iterable[str]) -> str:
    """Return the first of Batch's reasons that no waiting mends; empty if there is none."""
    return next((reason for reason in reasons if reason.startswith(_MISCONFIGURED)), "")


def reason_of(job: Any) -> str:
    """Return why a job failed, from Batch's description or summary of it."""
    container = job.get("container", {})
    parts = [job.get("statusReason", ""), container.get("reason", "")]
    if container.get("exitCode") is not None:
        parts.append(f"exit code {container['exitCode']}")
    return "; ".join(part for part in parts if part) or "Batch gives no reason"


def advice_for(reason: str) -> str:
    """Say what to do about a reason that Batch gives."""
    known = (text for words, text in _ADVICE.items() if any(word in reason for word in words))
    return " ".join(next(known, _NO_ADVICE).split())
