"""What the tests of jobs share: the commands as processes, and the jobs as Batch has them."""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from rios_plugin_awsbatch.aws.batch import STATES
from tests.support import commands
from tests.support.helpers import eventually

DEFINITIONS = ["riosJobDefinition", "riosJobDefinitionMain", "riosJobDefinitionMainScript"]
SCRIPTS = Path(sys.executable).parent
JOB = r"[0-9a-f]{8}-[0-9a-f-]{27}"
CALLS_WORKERS = """
    import os, sys
    from rios_plugin_awsbatch import BatchExecutor

    def pid(_):
        return os.getpid()

    with BatchExecutor(2) as executor:
        pids = set(executor.map(pid, range(4)))
    print("computed elsewhere:", os.getpid() not in pids)
"""
BUSY = """
    import time
    from rios_plugin_awsbatch import BatchExecutor

    with BatchExecutor(1) as executor:
        executor.submit(abs, 1).result()
        print("busy", flush=True)
        executor.submit(time.sleep, 600).result()
"""


class Ended(commands.Ended):
    @property
    def job(self):
        """The id of the job that was submitted."""
        return re.search(rf"is job ({JOB}) ", self.err).group(1)


def run(*command, cwd=None):
    """Run a command of ours, and return how it ended."""
    words = [str(word) for word in command]
    if words[0] == commands.PROGRAM:
        done = commands.run(*words[1:], cwd=cwd)
        return Ended(done.code, done.out, done.err)
    done = subprocess.run(
        [SCRIPTS / words[0], *words[1:]], cwd=cwd, capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def start(*command, stdin=subprocess.DEVNULL):
    """Start a command of ours in a group of its own, as a terminal does."""
    return subprocess.Popen(
        [SCRIPTS / command[0], *command[1:]],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def submit(*words):
    return run("rios-awsbatch", "submit", *words)


def follow(*words):
    return submit("--follow", *words)


def wheel(folder):
    """Write a wheel with one module, and return its path."""
    path = folder / "lighthouse-1.0-py3-none-any.whl"
    info = "lighthouse-1.0.dist-info"
    files = {
        "lighthouse.py": "def beam(n):\n    return 'beam ' * n\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: lighthouse\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
                .rstrip(b"=")
                .decode()
            )
            lines.append(f"{name},sha256={digest},{len(content)}")
        packed.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
    return path


def image_of(cloud, definition):
    """Return the image that a job definition of the stack names."""
    found = cloud.batch.describe_job_definitions(jobDefinitionName=definition, status="ACTIVE")
    latest = max(found["jobDefinitions"], key=lambda one: one["revision"])
    return latest["containerProperties"]["image"]


def definitions(cloud):
    """Return the names of the stack's job definitions that can be used, and of their copies."""
    found = cloud.batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    names = sorted(definition["jobDefinitionName"] for definition in found)
    return [name for name in names if name.startswith(DEFINITIONS[0])]


def job(cloud, identity):
    return cloud.batch.describe_jobs(jobs=[identity])["jobs"][0]


def succeeds(cloud, identity):
    """Wait until a job has succeeded."""
    said = lambda: f"{job(cloud, identity)}, and says: {run('rios-awsbatch', 'logs', identity)}"  # noqa: E731
    eventually(lambda: job(cloud, identity)["status"] == "SUCCEEDED", said)


def running(identity, text):
    """Wait until a job has logged a text."""
    return eventually(
        lambda: text in run("rios-awsbatch", "logs", identity).out,
        f"{identity} does not say {text}",
    )


def jobs_of(cloud):
    """Return the ids of all jobs on the stack's queues."""
    queues = ("BatchProcessingJobQueueName", "BatchProcessingJobQueueNameMain")
    listed = [
        cloud.batch.list_jobs(jobQueue=cloud.outputs[queue], jobStatus=status)
        for queue in queues
        for status in STATES
    ]
    return {job["jobId"] for answer in listed for job in answer["jobSummaryList"]}
