"""Jobs on a stack that has other names than the stack RIOS."""

import os

import pytest

from rios_plugin_awsbatch import BatchExecutor
from tests.stack.support.account import job_status
from tests.stack.support.stacks import REGION, outputs
from tests.support.helpers import eventually, instrument

pytestmark = pytest.mark.usefixtures("aws")
MAIN = """
from rios_plugin_awsbatch import BatchExecutor
with BatchExecutor(1) as executor:
    print(executor.submit(pow, 2, 5).result())
"""


def test_workers_start_from_the_stack_s_definition(made, monkeypatch):
    """Workers have the definition's environment and log group, and start by the entry point."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", made.name)
    found, batch = outputs(made), instrument("batch")
    with BatchExecutor(2) as executor:
        seen = executor.submit(os.getenv, "RIOS_AWSBATCH_STACK").result(60)
        region = executor.submit(os.getenv, "AWS_DEFAULT_REGION").result(60)
        listed = batch.list_jobs(
            jobQueue=found["BatchProcessingJobQueueName"],
            filters=[{"name": "JOB_NAME", "values": ["*"]}],
        )
        ids = [job["jobId"] for job in listed["jobSummaryList"]]
        jobs = batch.describe_jobs(jobs=ids)["jobs"]
    assert (seen, region) == (made.name, REGION)
    assert [job["jobDefinition"] for job in jobs] == [found["BatchProcessingJobDefinitionArn"]]
    answer = instrument("logs").describe_log_streams(logGroupName=found["BatchLogGroup"])
    names = [stream["logStreamName"] for stream in answer["logStreams"]]
    assert names
    assert all(name.startswith(f"{made.name}-JobDefinition/default/") for name in names)


def test_a_main_script_can_be_a_job(made):
    """The main definition gives a script all that it needs to run workers on its own stack."""
    batch, found = instrument("batch"), outputs(made)
    job = batch.submit_job(
        jobName="main",
        jobQueue=found["BatchProcessingJobQueueName"],
        jobDefinition=found["BatchProcessingJobDefinitionMainName"],
        containerOverrides={"command": ["python", "-c", MAIN]},
    )["jobId"]
    eventually(lambda: job_status(job) in ("SUCCEEDED", "FAILED"))
    (described,) = batch.describe_jobs(jobs=[job])["jobs"]
    events = instrument("logs").get_log_events(
        logGroupName=found["BatchLogGroup"],
        logStreamName=described["container"]["logStreamName"],
    )["events"]
    assert (described["status"], events[-1]["message"]) == ("SUCCEEDED", "32")
