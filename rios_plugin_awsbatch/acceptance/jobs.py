"""Promises of Batch's about jobs, tried with workers that have no run and end by themselves."""

import json
import time
from typing import Any, Final

from botocore.credentials import Credentials

from rios_plugin_awsbatch.aws.batch import copy_with_image, latest_definition, reason_of
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import error_code

from .records import NotShownError, Observed, Promise
from .site import Site

__all__ = ["PROMISES"]

_GUIDE: Final = "https://docs.aws.amazon.com/batch/latest/userguide"
_REFERENCE: Final = "https://docs.aws.amazon.com/batch/latest/APIReference"
_KNOWN_SECONDS: Final = 60.0
_NO_IMAGE: Final = "public.ecr.aws/docker/library/busybox:rios-awsbatch-acceptance"
_LISTED: Final = ("jobId", "jobName", "status")


def _rights(site: Site) -> Observed:
    """Submit with credentials that may use one job queue and one job definition, and no job."""
    batch = site.clients.batch
    queues = batch.describe_job_queues(jobQueues=[site.stack.job_queue])["jobQueues"]
    latest = latest_definition(batch, site.stack.job_definition)
    definition = str(latest["jobDefinitionArn"]).rpartition(":")[0]
    resources = [queues[0]["jobQueueArn"], definition, f"{definition}:*"]
    statement = {"Effect": "Allow", "Action": "batch:SubmitJob", "Resource": resources}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sts = site.clients.sts
    try:
        given = sts.get_federation_token(Name=f"acceptance-{site.identity}", Policy=policy)
    except sts.exceptions.ClientError as error:
        raise NotShownError(
            f"only an IAM user may have a federation token ({error_code(error)})"
        ) from None
    keys = given["Credentials"]
    few = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    limited = Clients(site.clients.region, few).batch
    site.will_submit()
    try:
        limited.submit_job(jobName=site.job_name, jobQueue=resources[0], jobDefinition=definition)
    except limited.exceptions.ClientError as error:
        return Observed(kept=False, detail=f"{error_code(error)}: the policy needs job/* as well")
    return Observed(kept=True, detail="the queue and the definition are enough")


def _known(site: Site) -> Observed:
    job_id = site.submit()
    begun = time.monotonic()
    unknown = 0
    while site.described(job_id) is None:
        unknown += 1
        if time.monotonic() - begun > _KNOWN_SECONDS:
            return Observed(kept=False, detail=f"unknown after {_KNOWN_SECONDS:.0f} s")
        site.pause(0.2)
    seconds = time.monotonic() - begun
    return Observed(kept=True, detail=f"known after {seconds:.1f} s and {unknown} empty answers")


def _listed(site: Site) -> Observed:
    job_id = site.submit()
    filters: Any = [{"name": "JOB_NAME", "values": [site.job_name]}]

    def look() -> Any:
        answer: Any = site.clients.batch.list_jobs(jobQueue=site.stack.job_queue, filters=filters)
        return [job for job in answer["jobSummaryList"] if job["jobId"] == job_id]

    (job,) = site.until(look, _KNOWN_SECONDS, "ListJobs to know a job by its name")
    missing = [name for name in _LISTED if not job.get(name)]
    definition = "with" if job.get("jobDefinition") else "without"
    return Observed(not missing, f"{definition} jobDefinition; missing: {missing or 'nothing'}")


def _tags(site: Site) -> Observed:
    tags = {"rios:acceptance": site.identity}
    job_id = site.submit(tags=tags, propagateTags=True)
    job = site.until(lambda: site.described(job_id), _KNOWN_SECONDS, "Batch to know a job")
    there = job.get("tags", {}).items() >= tags.items()
    return Observed(there, f"{job.get('tags')}; propagateTags: {job.get('propagateTags')}")


def _own_error(site: Site) -> Observed:
    job_id = site.submit()
    job = site.ended(job_id)
    attempts = len(job.get("attempts", []))
    kept = job["status"] == "FAILED" and attempts == 1
    return Observed(kept, f"{attempts} attempt(s): {reason_of(job)}", site.used(job))


def _pull_error(site: Site) -> Observed:
    batch = site.clients.batch
    definition = latest_definition(batch, site.stack.job_definition)
    copy = {**copy_with_image(definition, _NO_IMAGE), "jobDefinitionName": site.job_name}
    registered = batch.register_job_definition(**copy)["jobDefinitionArn"]
    site.later(
        "deregister a job definition",
        lambda: batch.deregister_job_definition(jobDefinition=registered),
    )
    job = site.ended(site.submit(jobDefinition=registered))
    tried = job.get("attempts", [])
    wanted = definition["retryStrategy"]["attempts"]
    reason = reason_of(tried[-1]) if tried else reason_of(job)
    kept = len(tried) == wanted and "CannotPull" in reason
    return Observed(kept, f"{len(tried)} of {wanted} attempts: {reason}", site.used(job))


PROMISES: Final = (
    Promise(
        "jobs.rights",
        "SubmitJob needs rights on the job queue and the job definition only.",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html",
        _rights,
        where="aws",
    ),
    Promise(
        "jobs.known",
        "DescribeJobs knows a job within a minute of SubmitJob.",
        f"{_REFERENCE}/API_DescribeJobs.html",
        _known,
    ),
    Promise(
        "jobs.listed",
        "ListJobs finds a job by its name, with its id and status, if not with its definition.",
        f"{_REFERENCE}/API_ListJobs.html",
        _listed,
    ),
    Promise(
        "jobs.tags",
        "A job has the tags of its SubmitJob.",
        f"{_GUIDE}/using-tags.html",
        _tags,
    ),
    Promise(
        "jobs.own-error",
        "A container that ends with an error of its own is not tried again.",
        f"{_GUIDE}/job_retries.html",
        _own_error,
        minutes=5,
        vcpu_seconds=60,
    ),
    Promise(
        "jobs.pull-error",
        "A container whose image cannot be pulled is tried again, as the retry rules say.",
        f"{_GUIDE}/job_retries.html",
        _pull_error,
        minutes=10,
        vcpu_seconds=300,
        where="aws",
    ),
)
