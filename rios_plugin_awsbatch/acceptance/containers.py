"""Promises about containers and their machines, seen by functions that a worker calls."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from rios_plugin_awsbatch.aws.batch import reason_of

from .records import NotShownError, Observed, Promise
from .site import JOB_SECONDS, Site

__all__ = ["PROMISES"]

_GUIDE: Final = "https://docs.aws.amazon.com/batch/latest/userguide"
_ECS: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide"
_METADATA: Final = ("169.254.169.254", 80)
_KILLED: Final = 137  # 128 and SIGKILL
_STOP_SECONDS: Final = 60.0  # ECS waits 30 s, and Batch takes some time to know
# Longer than any notice: the job is ended before.
_BUSY_SECONDS: Final = 600.0
_FIS_NOTICE: Final = "PT2M"


def _ask(site: Site, function: Callable[[], Any]) -> tuple[Any, float]:
    """Have a worker call a function; return its result, and the vCPU seconds that were used."""
    begun = time.monotonic()
    result = site.executor().submit(function).result(JOB_SECONDS)
    return result, (time.monotonic() - begun) * site.vcpus()


@contextlib.contextmanager
def _busy_worker(site: Site) -> Iterator[tuple[str, float]]:
    """Have a worker compute for long; yield its job's id, and the vCPU seconds that were used."""
    job_id, used = _ask(site, _job_of_worker)
    site.executor().submit(time.sleep, _BUSY_SECONDS)
    site.pause(2)
    try:
        yield job_id, used
    finally:
        site.end_executor()  # else another worker would take over what this one handed back


def _metadata_answers() -> bool:
    try:
        socket.create_connection(_METADATA, timeout=3).close()
    except OSError:
        return False
    return True


def _first_process() -> tuple[str, int]:
    return Path("/proc/1/comm").read_text().strip(), os.getppid()


def _job_of_worker() -> str:
    return os.environ.get("AWS_BATCH_JOB_ID", "")


def _metadata(site: Site) -> Observed:
    answers, used = _ask(site, _metadata_answers)
    where = f"{_METADATA[0]} {'can' if answers else 'cannot'} be connected to"
    return Observed(not answers, where, used)


def _init(site: Site) -> Observed:
    (name, parent), used = _ask(site, _first_process)
    detail = f"process 1 is {name}; the worker is process {parent}"
    return Observed(parent != 1, detail, used)


def _terminated(site: Site) -> Observed:
    with _busy_worker(site) as (job_id, used):
        begun = time.monotonic()
        site.clients.batch.terminate_job(jobId=job_id, reason="Acceptance: SIGTERM")
        job = site.ended(job_id)
        seconds = time.monotonic() - begun
    code = job.get("container", {}).get("exitCode")
    kept = code not in (None, _KILLED) and seconds < _STOP_SECONDS
    return Observed(kept, f"exit code {code} after {seconds:.0f} s: {reason_of(job)}", used)


def _spot(site: Site) -> Observed:
    if not site.fis_role:
        raise NotShownError("name a role that FIS may use with --fis-role")
    fis = site.clients.other("fis")
    with _busy_worker(site) as (job_id, used):
        experiment = _experiment(site, _machine_of(site, site.described(job_id)))
        made = fis.create_experiment_template(**experiment)["experimentTemplate"]["id"]
        site.later("delete an experiment template", lambda: fis.delete_experiment_template(id=made))
        begun = time.monotonic()
        fis.start_experiment(experimentTemplateId=made)
        what = "Spot to take the machine"
        job = site.until(lambda: _interrupted(site, job_id), JOB_SECONDS, what)
        seconds = time.monotonic() - begun
    code = job["attempts"][-1].get("container", {}).get("exitCode")
    detail = f"exit code {code} after {seconds:.0f} s: {reason_of(job['attempts'][-1])}"
    return Observed(code not in (None, _KILLED), detail, used + seconds * site.vcpus())


def _interrupted(site: Site, job_id: str) -> Any:
    job = site.described(job_id)
    return job if job and job.get("attempts") else None


def _machine_of(site: Site, job: Any) -> str:
    """Return the ARN of the EC2 instance that a job runs on."""
    arn = job.get("container", {}).get("containerInstanceArn")
    if not arn:
        raise NotShownError("only machines on EC2 can be interrupted; this one is on Fargate")
    cluster = arn.split("/")[1]
    ecs = site.clients.other("ecs")
    found = ecs.describe_container_instances(cluster=cluster, containerInstances=[arn])
    instance = found["containerInstances"][0]["ec2InstanceId"]
    described = site.clients.other("ec2").describe_instances(InstanceIds=[instance])
    machine = described["Reservations"][0]["Instances"][0]
    if machine.get("InstanceLifecycle") != "spot":
        raise NotShownError("the stack has no Spot machines; create one with --compute spot")
    prefix = arn.replace(":ecs:", ":ec2:").partition(":container-instance/")[0]
    return f"{prefix}:instance/{instance}"


def _experiment(site: Site, machine: str) -> dict[str, Any]:
    # https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
    return {
        "description": json.dumps({"acceptance": site.identity}),
        "roleArn": site.fis_role,
        "stopConditions": [{"source": "none"}],
        "targets": {
            "machine": {
                "resourceType": "aws:ec2:spot-instance",
                "resourceArns": [machine],
                "selectionMode": "ALL",
            }
        },
        "actions": {
            "interrupt": {
                "actionId": "aws:ec2:send-spot-instance-interruptions",
                "parameters": {"durationBeforeInterruption": _FIS_NOTICE},
                "targets": {"SpotInstances": "machine"},
            }
        },
    }


PROMISES: Final = (
    Promise(
        "containers.metadata",
        "Jobs cannot reach the metadata of their machine (IMDS), although they share its network.",
        f"{_GUIDE}/networking-modes-jobs.html",
        _metadata,
        minutes=5,
        vcpu_seconds=60,
        where="aws",
    ),
    Promise(
        "containers.init",
        "A container has an init process, which passes signals on and reaps orphans.",
        f"{_ECS}/task_definition_parameters.html#container_definition_linuxparameters",
        _init,
    ),
    Promise(
        "containers.sigterm",
        "A worker whose job is ended gets SIGTERM, and ends in order before SIGKILL.",
        f"{_ECS}/task_definition_parameters.html#container_definition_timeout",
        _terminated,
        minutes=2,
        vcpu_seconds=60,
    ),
    Promise(
        "containers.spot",
        "A worker whose Spot machine is taken is told in time, and ends in order.",
        "https://docs.aws.amazon.com/fis/latest/userguide/fis-tutorial-spot-interruptions.html",
        _spot,
        minutes=10,
        vcpu_seconds=600,
        where="aws",
    ),
)
