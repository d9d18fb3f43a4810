"""What the tests share besides fixtures: waiting, processes, and a view of an embedded AWS."""

import json
import os
import subprocess
import time
import uuid

import boto3
from botocore.config import Config

from rios_plugin_awsbatch.local.options import SPARED

PATIENCE = 60.0
WORKERS = 3  # of the session's embedded AWS
# The seed of unkindness of the embedded AWS; None to be kind. See CONTRIBUTING.
_SEED = os.environ.get("RIOS_AWSBATCH_TEST_UNKIND", "kind")
UNKIND = None if _SEED == "kind" else int(_SEED)
GIVEN = "runs/given/"  # where tests put what workers read, who may read below runs/ only
TEMPLATE = "template_process.py"  # which jobs are forked from
UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


def eventually(look, message="what was waited for did not happen", patience=PATIENCE):
    """Return the first true value of look(), or fail with a message (or what message() returns).

    Looking takes a quarter of the time at most, so that what is waited for can come about.
    """
    deadline = time.monotonic() + patience
    while (begun := time.monotonic()) < deadline:
        if value := look():
            return value
        time.sleep(min(max(0.02, 3 * (time.monotonic() - begun)), 0.5))
    raise AssertionError(message() if callable(message) else message)


def processes_below(pid, besides=lambda _parent, _args: False):
    """Return the command lines of all living descendants of a process, by their ids.

    Args:
        pid: The process.
        besides: Says, by its parent's id and its command line, which descendant does not count.
    """
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
    family, grew = {pid}, True
    while grew:
        found = {int(row[0]) for row in rows if int(row[1]) in family}
        grew = not found <= family
        family |= found
    return {
        int(row[0]): row[3]
        for row in rows
        if int(row[0]) in family - {pid}
        and not row[2].startswith("Z")
        and not besides(int(row[1]), row[3])
    }


def alive(pid):
    """Say whether a process runs; a zombie does not."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(answer.stdout.strip()) and not answer.stdout.startswith("Z")


def instrument(service, **more):
    """Return a client with which a test looks at an embedded AWS: that is always kind to it."""
    return boto3.Session().client(service, config=Config(user_agent_extra=SPARED), **more)


def spare(*clients):
    """Make an embedded AWS kind to clients, because a test plays a part of the package by hand."""

    def mark(params, **_):
        params["headers"]["User-Agent"] += f" {SPARED}"

    for client in clients:
        client.meta.events.register("before-call", mark)


class Cloud:
    """An embedded AWS, seen through clients that may do everything; it is always kind to them.

    Or as kind as to everybody else, if they are not `spared`.
    """

    def __init__(self, aws, *, spared=True):
        self.aws = aws
        owner = aws.environment_of("owner")
        with aws.activated():
            session = boto3.Session(owner["AWS_ACCESS_KEY_ID"], owner["AWS_SECRET_ACCESS_KEY"])
            config = Config(max_pool_connections=50, user_agent_extra=SPARED if spared else "")
            self.s3, self.sqs, self.batch, self.cloudformation, self.logs = (
                session.client(service, config=config)
                for service in ("s3", "sqs", "batch", "cloudformation", "logs")
            )
        (stack,) = self.cloudformation.describe_stacks(
            StackName=aws.environment["RIOS_AWSBATCH_STACK"]
        )["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.bucket = self.outputs["BatchBucket"]
        self.job_queue = self.outputs["BatchProcessingJobQueueName"]

    def client(self, service):
        """Return a client that may do everything, which main and workers may not."""
        owner = self.aws.environment_of("owner")
        return boto3.Session().client(
            service,
            aws_access_key_id=owner["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=owner["AWS_SECRET_ACCESS_KEY"],
            config=Config(user_agent_extra=SPARED),
        )

    @property
    def rights(self):
        """What the containers of workers have: the properties of their role and log group."""
        name = self.outputs["BatchProcessingJobDefinitionName"]
        (latest, *_) = self.batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
        container = latest["containerProperties"]
        return {name: container[name] for name in ("jobRoleArn", "logConfiguration")}

    def objects(self, prefix="runs/"):
        """Return the keys of the bucket's objects under a prefix."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        keys = [item["Key"] for item in listed.get("Contents", [])]
        return [key for key in keys if not key.startswith(GIVEN)]

    def record(self):
        """Return the record of the only run that is alive."""
        (key,) = [key for key in self.objects() if key.endswith("/run.json")]
        return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def run_queues(self):
        """Return the URLs of the queues that runs have created."""
        urls = self.sqs.list_queues().get("QueueUrls", [])
        return [url for url in urls if "-run-" in url and "-given-" not in url]

    def queue(self, **attributes):
        """Create a queue that is no run's, but that workers and main may use; return its URL."""
        name = f"RIOS-run-given-{uuid.uuid4().hex}-tasks"
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def messages(self, url):
        """Return how many messages a queue holds, the hidden ones included."""
        return self._count(
            url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
        )

    def hidden_messages(self, url):
        """Return how many messages of a queue somebody has received, and not deleted."""
        return self._count(url, "ApproximateNumberOfMessagesNotVisible")

    def _count(self, url, *names):
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def unfinished_jobs(self):
        """Return the ids of the jobs that have not ended; an array counts as one."""
        every = [{"name": "JOB_NAME", "values": ["*"]}]  # of whatever status
        pages = self.batch.get_paginator("list_jobs").paginate(
            jobQueue=self.job_queue, filters=every
        )
        jobs = [job for page in pages for job in page["jobSummaryList"]]
        return [job["jobId"] for job in jobs if job["status"] in UNFINISHED]

    def worker_processes(self):
        """Return the command lines of all processes that jobs have started, by their ids."""
        server = self.aws._process.pid
        return processes_below(
            server, besides=lambda parent, args: parent == server and TEMPLATE in args
        )

    def clear(self):
        """Delete what runs have left behind."""
        for job in self.unfinished_jobs():
            self.batch.terminate_job(jobId=job, reason="left by a test")
        for url in self.run_queues():
            self.sqs.delete_queue(QueueUrl=url)
        for key in self.objects():
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def left(self):
        """Return what runs have left behind; empty if nothing."""
        found = {
            "objects": self.objects(),
            "queues": self.run_queues(),
            "jobs": self.unfinished_jobs(),
            "processes": self.worker_processes(),
        }
        return {what: things for what, things in found.items() if things}


def without_aws(environ=None):
    """Return an environment, this process's if none is given, that leads to no AWS."""
    base = os.environ if environ is None else environ
    kept = {name: value for name, value in base.items() if not name.startswith(("AWS_", "RIOS"))}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**kept, **nowhere, "AWS_EC2_METADATA_DISABLED": "true"}
