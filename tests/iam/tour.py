"""A tour of all that people and jobs do, by those who may do it, with a record of every call.

    python -m tests.iam.tour RECORD

`RECORD` is written by the embedded AWS (`LocalAWS(record=...)`), which refuses what policies do not
allow; `tests/iam/judge.mjs` judges it again, by another evaluator of IAM's policies.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.stack.policy import boundary_name, policy_text
from rios_plugin_awsbatch.wire.image_tag import image_tag, versions_here
from tests.image.support.programs import BUILDER
from tests.support.callers import NAMES, REGION, STACK, USERS

PROGRAMS = Path(sys.executable).parent
RUN = """
import helper, time
from concurrent.futures import wait
from rios_plugin_awsbatch import BatchExecutor

def large(data):
    return helper.twice(data)

if __name__ == "__main__":
    with BatchExecutor(2) as executor:
        done = [executor.submit(large, bytes(size)) for size in (1, 4_000_000, 9_000_000)]
        slow = executor.submit(time.sleep, 6)  # longer than half of the visibility timeout
        print([len(one.result()) for one in done], slow.result())
"""
HELPER = "def twice(data):\n    return data + data\n"
SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(600)\n"


class Tour:
    """The commands, each by somebody, in one folder.

    Args:
        aws: The embedded AWS.
        folder: Where the scripts are.
    """

    def __init__(self, aws, folder):
        self._aws = aws
        self._folder = folder
        (folder / "run.py").write_text(RUN)
        (folder / "helper.py").write_text(HELPER)
        (folder / "sleep.py").write_text(SLEEP)
        (folder / "none").touch()
        docker = folder / "docker"
        docker.write_text(f"#!{sys.executable}\n{BUILDER}")
        docker.chmod(0o755)

    def run(self, who, *command, code=0, **environment):
        """Run a command as somebody; return what it prints."""
        path = os.pathsep.join([str(self._folder), str(PROGRAMS), os.environ["PATH"]])
        done = subprocess.run(
            [str(word) for word in command],
            env={
                **self._aws.adapted(os.environ),
                **self._aws.environment_of(who),
                "PATH": path,
                "PYTHONPATH": str(Path.cwd()),
                "CALLS": str(self._folder / "calls"),
                "VERSIONS": json.dumps(versions_here()),
                **environment,
            },
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"{who}: {' '.join(map(str, command))} -> {done.returncode}", flush=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def owner(self, service):
        """Return a client that may do everything, for what others have done before."""
        key = self._aws.environment_of("owner")
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self._aws.endpoint,
            aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
        )


def push_image(tour, repository, number=1):
    """Put an image into a repository, as a real push of docker does."""
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    layer = {"mediaType": "x", "size": 1, "digest": f"sha256:{number:064x}"}
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": [layer]}
    for tag in ("latest", image_tag(versions_here())):
        tour.owner("ecr").put_image(
            repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag
        )


def main_scripts(tour):
    """What "main" does: runs, main jobs and all commands about them."""
    outputs = outputs_of(tour)
    tour.run("main", sys.executable, "run.py", RIOS_AWSBATCH_INLINE_LIMIT="0",
             RIOS_AWSBATCH_VISIBILITY_TIMEOUT="5")  # fmt: skip
    given = {
        "RIOS_AWSBATCH_IN_QUEUE": outputs["BatchInQueue"],
        "RIOS_AWSBATCH_OUT_QUEUE": outputs["BatchOutQueue"],
    }
    tour.run("main", sys.executable, "run.py", **given)
    tour.run("main", "rios-awsbatch", "doctor", "--worker")
    tour.run("main", "rios-awsbatch", "doctor", **given)
    told = tour.run(
        "main", "rios-awsbatch", "submit", "--follow", "--folder", ".", "--requirements", "none",
        "run.py",
    )  # fmt: skip
    assert "[2, 8000000, 18000000]" in told, told
    told = tour.run("main", "rios-awsbatch", "submit", "sleep.py")
    job = told.split(" is job ")[1].split()[0]
    tour.run("main", "rios-awsbatch", "jobs", "--all")
    tour.run("main", "rios-awsbatch", "cancel", job)
    tour.run("main", "rios-awsbatch", "logs", job)
    tour.run("main", "rios-awsbatch", "clean")


def outputs_of(tour):
    (stack,) = tour.owner("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def leave_something(tour, outputs):
    """Leave what a main leaves that was killed: a record, a queue, an upload, a job."""
    run = "20200101T000000-0123abcd"
    url = tour.owner("sqs").create_queue(QueueName=f"RIOS-run-{run}-tasks")["QueueUrl"]
    job = tour.owner("batch").submit_job(
        jobName=f"rios-{run}",
        jobQueue=outputs["BatchProcessingJobQueueName"],
        jobDefinition=outputs["BatchProcessingJobDefinitionName"],
        containerOverrides={"command": ["sleep", "600"]},
    )["jobId"]
    record = {"queues": [url], "jobs": [job]}
    s3, bucket = tour.owner("s3"), outputs["BatchBucket"]
    s3.put_object(Bucket=bucket, Key=f"runs/{run}/run.json", Body=json.dumps(record))
    s3.create_multipart_upload(Bucket=bucket, Key=f"runs/{run}/results/1")
    return url


def images(tour):
    """What those do who push images, and who submit with an image of their own."""
    push_image(tour, "riosecr")
    tour.run("pusher", "rios-awsbatch", "image", "push", "--builder", "docker")
    push_image(tour, "riosecrmain")
    tour.run("pusher", "rios-awsbatch", "image", "push", "--main", "--builder", "docker")
    tour.run("main", "rios-awsbatch", "submit", "--image", "main", "--follow",
             "--folder", ".", "run.py")  # fmt: skip
    tour.run("submitter", "rios-awsbatch", "submit", "--image", "elsewhere/x:1", "--follow",
             "--folder", ".", "run.py")  # fmt: skip


def stack(tour):
    """What whoever creates the stack does with it, and with what others have left in it."""
    tour.run("creator", "rios-awsbatch", "stack", "status")
    tour.run("creator", "rios-awsbatch", "stack", "modify", "--dry-run", "--vcpus", "2")
    tour.run("creator", "rios-awsbatch", "stack", "modify", "--wait", "--yes", "--maxjobs", "4",
             "--tag", "project,tour")  # fmt: skip
    push_image(tour, "riosecr", 2)
    tour.run("creator", "rios-awsbatch", "image", "push", "--builder", "docker")
    tour.run("main", "rios-awsbatch", "submit", "sleep.py")
    leave_something(tour, outputs_of(tour))
    tour.run("creator", "rios-awsbatch", "stack", "delete", "--wait", "--yes")
    boundary = tour.owner("iam").create_policy(
        PolicyName=boundary_name(STACK), PolicyDocument=policy_text("boundary", NAMES)
    )["Policy"]["Arn"]
    tour.run("creator", "rios-awsbatch", "stack", "create", "--wait", "--tag", "project,tour",
             "--boundary", boundary)  # fmt: skip
    tour.run("creator", sys.executable, "run.py")  # as `demo --aws` does
    tour.run("creator", "rios-awsbatch", "stack", "status")


def main(record):
    Path(record).unlink(missing_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalAWS(4, record=record, principal="main", users=USERS, activate=False) as aws,
    ):
        tour = Tour(aws, Path(folder))
        main_scripts(tour)
        images(tour)
        stack(tour)


if __name__ == "__main__":
    main(sys.argv[1])
