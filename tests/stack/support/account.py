"""What else is in the account of the embedded AWS, as a bystander sees and makes it."""

import json

from botocore.exceptions import ClientError

from rios_plugin_awsbatch.aws.names import new_run_id
from tests.stack.support.stacks import outputs
from tests.stack.support.template import texts
from tests.support.helpers import eventually, instrument


def exists(name):
    """Say whether there is a stack of that name."""
    try:
        instrument("cloudformation").describe_stacks(StackName=name)
    except ClientError:
        return False
    return True


def tags(name):
    (found,) = instrument("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


def change_sets(name):
    listed = instrument("cloudformation").list_change_sets(StackName=name)["Summaries"]
    return [one for one in listed if one["StackName"] == name]  # moto lists those of all stacks


def buckets():
    return {one["Name"] for one in instrument("s3").list_buckets()["Buckets"]}


def repositories():
    listed = instrument("ecr").describe_repositories()["repositories"]
    return {one["repositoryName"] for one in listed}


def put_image(repository, number=0):
    """Push an image that is different for each number."""
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    layer = {"mediaType": "x", "size": 1, "digest": f"sha256:{number:064x}"}
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": [layer]}
    instrument("ecr").put_image(
        repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=str(number)
    )


def run_queue(name):
    """Make a queue as runs of a stack do, and return its URL."""
    answer = instrument("sqs").create_queue(QueueName=f"{name}-run-{new_run_id()}-tasks")
    return answer["QueueUrl"]


def environments_behind(queue):
    """Return the types of the compute environments of a job queue, in their order."""
    (found,) = instrument("batch").describe_job_queues(jobQueues=[queue])["jobQueues"]
    ordered = sorted(found["computeEnvironmentOrder"], key=lambda one: one["order"])
    arns = [one["computeEnvironment"] for one in ordered]
    return [compute_environment(arn)["computeResources"]["type"] for arn in arns]


def compute_environment(arn):
    """Return what Batch says about a compute environment."""
    batch = instrument("batch")
    answer = batch.describe_compute_environments(computeEnvironments=[arn])
    return answer["computeEnvironments"][0]


def register(definition):
    """Register a job definition of that name."""
    instrument("batch").register_job_definition(
        jobDefinitionName=definition,
        type="container",
        containerProperties={"image": "x", "vcpus": 1, "memory": 128},
    )


def active_definitions():
    """Return the names of all active job definitions."""
    lister = instrument("batch").get_paginator("describe_job_definitions")
    pages = lister.paginate(status="ACTIVE")
    return {one["jobDefinitionName"] for page in pages for one in page["jobDefinitions"]}


def endless_job(stack):
    """Return the id of a main job of a stack that runs until it is ended."""
    batch, found = instrument("batch"), outputs(stack)
    job = batch.submit_job(
        jobName="endless",
        jobQueue=found["BatchProcessingJobQueueNameMain"],
        jobDefinition=found["BatchProcessingJobDefinitionName"],
        containerOverrides={"command": ["sleep", "1000"]},
    )["jobId"]
    eventually(lambda: job_status(job) == "RUNNING")
    return job


def job_status(job):
    return instrument("batch").describe_jobs(jobs=[job])["jobs"][0]["status"]


def end_job(job):
    instrument("batch").terminate_job(jobId=job, reason="test")
    eventually(lambda: job_status(job) == "FAILED")


def queues_allowed(policy):
    """Return the SQS resources that a managed policy names."""
    answer = instrument("iam").get_policy_version(
        PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"]
    )
    document = answer["PolicyVersion"]["Document"]
    return [text for text in texts(document) if ":sqs:" in text]
