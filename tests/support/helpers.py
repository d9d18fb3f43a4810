"""What the tests share besides fixtures: waiting, processes, and a view of an embedded AWS."""

import json
import os
import subprocess
import time
import uuid

import boto3
from botocore.config import Config

PATIENCE = 60.0
WORKERS = 3  # of the session's embedded AWS
UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


def eventually(look, message="what was waited for did not happen", patience=PATIENCE):
    """Return the first true value of look(), or fail with a message (or what message() returns)."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := look():
            return value
        time.sleep(0.02)
    raise AssertionError(message() if callable(message) else message)


def processes_below(pid):
    """Return the command lines of all living descendants of a process, by their ids."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
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
        if int(row[0]) in family - {pid} and not row[2].startswith("Z")
    }


def alive(pid):
    """Say whether a process runs; a zombie does not."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(answer.stdout.strip()) and not answer.stdout.startswith("Z")


class Cloud:
    """An embedded AWS, seen through clients of its own, which may do everything."""

    def __init__(self, aws):
        self.aws = aws
        owner = aws.environment_of("owner")
        with aws.activated():
            session = boto3.Session(owner["AWS_ACCESS_KEY_ID"], owner["AWS_SECRET_ACCESS_KEY"])
            config = Config(max_pool_connections=50)
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
        return boto3.client(
            service,
            aws_access_key_id=owner["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=owner["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def worker_role(self):
        """The ARN of the role that workers have."""
        name = self.outputs["BatchProcessingJobDefinitionName"]
        (latest, *_) = self.batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
        return latest["containerProperties"]["jobRoleArn"]

    def objects(self, prefix="runs/"):
        """Return the keys of the bucket's objects under a prefix."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

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
        listed = (
            self.batch.list_jobs(jobQueue=self.job_queue, jobStatus=status) for status in UNFINISHED
        )
        return [job["jobId"] for answer in listed for job in answer["jobSummaryList"]]

    def worker_processes(self):
        """Return the command lines of all processes that jobs have started, by their ids."""
        return processes_below(self.aws._process.pid)

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
