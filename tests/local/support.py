"""What the tests of the embedded AWS share: the clients of one, and threads."""

import contextlib
import threading
import uuid

from botocore.exceptions import ClientError

from tests.support.helpers import PATIENCE, Cloud, eventually

ENDED = {"SUCCEEDED", "FAILED"}
# Ignores SIGTERM, as its child does; prints the ids of both.
STUBBORN = "trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 1; done"


class Account(Cloud):
    """An embedded AWS, and what the tests do with it."""

    def submit(self, *command, definition=None, environment=None, **more):
        """Submit a job; return its id."""
        overrides = {
            "environment": [{"name": n, "value": v} for n, v in (environment or {}).items()]
        }
        if command:
            overrides["command"] = list(command)
        request = {
            "jobName": "test",
            "jobQueue": self.job_queue,
            "jobDefinition": definition or self.outputs["BatchProcessingJobDefinitionName"],
            "containerOverrides": overrides,
        }
        return self.batch.submit_job(**request | more)["jobId"]

    def shell(self, script, **more):
        """Submit a shell script; return the job's id."""
        return self.submit("sh", "-c", script, **more)

    def job(self, identity):
        """Return what Batch says of a job."""
        return self.batch.describe_jobs(jobs=[identity])["jobs"][0]

    def in_status(self, identity, *statuses):
        """Wait until a job has one of the statuses; return what Batch says of it."""
        return eventually(
            lambda: (job := self.job(identity))["status"] in statuses and job,
            f"{identity}: {statuses}",
        )

    def ended(self, identity):
        """Wait until a job has ended; return what Batch says of it."""
        return self.in_status(identity, *ENDED)

    def output(self, job):
        """Return the lines in a job's log stream."""
        stream = job["container"]["logStreamName"]
        options = job["container"].get("logConfiguration", {}).get("options", {})
        group = options.get("awslogs-group", "/aws/batch/job")
        answer = self.logs.get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]

    def first_output(self, identity):
        """Wait until a job has printed something; return the lines."""

        def lines():
            with contextlib.suppress(ClientError):  # as long as there is no stream
                return self.output(self.job(identity))

        self.in_status(identity, "RUNNING")
        return eventually(lines)

    def stubborn_job(self):
        """Start a job that ignores SIGTERM; return its id and those of its two processes."""
        identity = self.shell(STUBBORN)
        (line,) = self.first_output(identity)
        return identity, [int(pid) for pid in line.split()]

    def define(self, image="rios:latest", **more):
        """Register a job definition; return its name."""
        name = f"riosJobDefinition-{uuid.uuid4().hex}"
        container = {"image": image, "vcpus": 1, "memory": 100}
        self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **more
        )
        return name

    def send(self, url, body="hello", **more):
        return self.sqs.send_message(QueueUrl=url, MessageBody=body, **more)

    def receive(self, url, count=1, wait=0, **more):
        """Receive messages, with all their attributes."""
        answer = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            **more,
        )
        return answer.get("Messages", [])

    def bucket_of_its_own(self):
        """Create a bucket; return its name."""
        bucket = f"bucket-{uuid.uuid4().hex}"
        place = {"LocationConstraint": "ap-southeast-2"}
        self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        return bucket


def code_of(error):
    """Return AWS's code of an error that pytest has caught."""
    return error.value.response["Error"]["Code"]


def in_background(work):
    """Start work() in a thread; return a function that waits for its outcome."""
    outcome = []

    def run():
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()

    def finished():
        thread.join(PATIENCE)
        assert outcome, "still at work"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return finished


def in_threads(count, work):
    """Run work(index) in so many threads; raise what one of them raised."""
    for finished in [in_background(lambda index=index: work(index)) for index in range(count)]:
        finished()
