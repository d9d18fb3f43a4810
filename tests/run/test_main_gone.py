"""A main that is killed costs next to nothing more; one that sleeps goes on when it wakes."""

import json
import os
import signal
import subprocess
import sys

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.run.sweep import sweep
from tests.support.blocks import Stage
from tests.support.helpers import eventually

TIMEOUT = 8  # seconds; the setting's default is two minutes
SCRIPT = """
import os, sys, time
from rios_plugin_awsbatch import BatchExecutor

folder = sys.argv[1]

def gated(number):
    with open(f"{folder}/calls", "ab", buffering=0) as calls:
        calls.write(f"{number} {os.getpid()} {os.getppid()}\\n".encode())
    while not os.path.exists(f"{folder}/gate"):
        time.sleep(0.01)
    return number

with BatchExecutor(2) as pool:
    print(list(pool.map(gated, range(20))))
"""


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def main(cloud, tmp_path):
    """A script that computes, as a process."""
    output = tmp_path / "out"
    settings = {"RIOS_AWSBATCH_MAIN_TIMEOUT": str(TIMEOUT), "RIOS_AWSBATCH_VISIBILITY_TIMEOUT": "5"}
    with output.open("w") as written:
        script = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path)],
            env={**cloud.aws.adapted(os.environ), **settings},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield script, output
    if script.poll() is None:
        os.killpg(script.pid, signal.SIGKILL)
        script.wait()


def test_the_workers_of_a_killed_main_end_and_compute_nothing_more(cloud, main, stage):
    """Though all tasks are queued, and the workers are not idle. A sweep deletes the rest."""
    script, _ = main
    stage.nth_call(2)
    script.kill()
    script.wait()
    eventually(lambda: not cloud.unfinished_jobs(), "the workers went on")
    eventually(lambda: not cloud.worker_processes(), "a process went on")
    assert len(stage.calls()) <= 4  # the two, and what one worker took before it looked
    assert len(sweep(Clients("ap-southeast-2"), cloud.bucket)) == 1


def test_a_main_that_slept_goes_on_with_new_workers(cloud, main, stage):
    """Its workers have ended meanwhile; no sweep of another machine takes its queues."""
    script, output = main
    stage.nth_call(2)
    os.killpg(script.pid, signal.SIGSTOP)
    eventually(lambda: not cloud.unfinished_jobs(), "the workers went on")
    assert sweep(Clients("ap-southeast-2"), cloud.bucket) == []
    stage.open_gate()
    os.killpg(script.pid, signal.SIGCONT)
    assert script.wait(120) == 0, output.read_text()
    assert f"{list(range(20))}" in output.read_text()


def test_a_run_with_workers_at_work_is_nobodys_to_sweep(cloud, main, stage):
    """However long its main has been silent, if it cannot be seen that it has ended."""
    script, output = main
    stage.nth_call(2)
    (key,) = [key for key in cloud.objects() if key.endswith("/run.json")]
    elsewhere = json.dumps({**cloud.record(), "machine": "another one"})
    cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=elsewhere.encode())
    assert sweep(Clients("ap-southeast-2"), cloud.bucket, stale_seconds=-10) == []
    stage.open_gate()
    assert script.wait(120) == 0, output.read_text()
    assert f"{list(range(20))}" in output.read_text()
