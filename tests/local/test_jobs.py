"""Jobs are processes, and Batch tells of them as AWS does."""

import importlib.resources
import os
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.local import LocalAWS
from tests.local.support import Account
from tests.support.helpers import alive, eventually


def test_job_succeeds(account):
    """A job whose process exits with 0 is SUCCEEDED, with exit code, reason and times."""
    job = account.ended(account.shell("exit 0"))
    assert (job["status"], job["statusReason"]) == (
        "SUCCEEDED",
        "Essential container in task exited",
    )
    (attempt,) = job["attempts"]
    assert attempt["container"]["exitCode"] == job["container"]["exitCode"] == 0
    assert job["createdAt"] <= job["startedAt"] <= attempt["stoppedAt"] <= job["stoppedAt"]


def test_a_name_stands_for_the_latest_active_revision(account):
    """A revision that was deregistered is passed over."""
    (first,) = account.batch.describe_job_definitions(
        jobDefinitionName="riosJobDefinition", status="ACTIVE"
    )["jobDefinitions"][-1:]
    later = account.batch.register_job_definition(
        jobDefinitionName="riosJobDefinition",
        type="container",
        containerProperties=first["containerProperties"],
    )
    account.batch.deregister_job_definition(jobDefinition=later["jobDefinitionArn"])
    job = account.ended(account.shell("exit 0"))
    assert job["jobDefinition"] == first["jobDefinitionArn"]


def test_job_fails(account):
    """A job whose process exits with another code is FAILED, with that code."""
    job = account.ended(account.shell("exit 3"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 3)
    assert job["statusReason"] == "Essential container in task exited"
    assert "reason" not in job["container"]


def test_killed_job_has_the_code_of_its_signal(account):
    """A process that a signal kills has the exit code 128 + signal, and no reason."""
    job = account.ended(account.shell("kill -KILL $$"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)
    assert "reason" not in job["container"]


def test_environment_is_the_container_s(account):
    """A job has the definition's variables, updated by the overrides, and what Batch adds."""
    overridden = {"RIOSInQueue": "overridden", "OWN": "a b"}
    identity = account.shell("env -0 | tr '\\0' '\\n'; pwd", environment=overridden)
    job = account.ended(identity)
    *lines, folder = account.output(job)
    seen = dict(line.split("=", 1) for line in lines)
    assert overridden.items() <= seen.items()
    assert seen["RIOSBucket"].startswith("riosbucket")
    assert seen["AWS_ENDPOINT_URL"] == account.aws.endpoint
    assert (seen["AWS_BATCH_JOB_ID"], seen["AWS_BATCH_JOB_ATTEMPT"]) == (identity, "1")
    environment = account.outputs["ComputeEnvironmentArn"].rpartition("/")[2]
    assert (seen["AWS_BATCH_JQ_NAME"], seen["AWS_BATCH_CE_NAME"]) == ("riosJobQueue", environment)
    assert "AWS_BATCH_JOB_ARRAY_INDEX" not in seen
    assert not Path(folder).exists(), "a job's own folder goes with it"


MAINS = {
    "SECRET_OF_MAIN": "1",
    "AWS_PROFILE": "of-another-account",
    "AWS_REQUEST_PAYER": "requester",
    "GDAL_CACHEMAX": "64",
    "GDAL_HTTP_MAX_RETRY": "64",
    "PROJ_NETWORK": "ON",
    "PYTHONWARNINGS": "error",
    "PYTHONPATH": "/somewhere",
    "VSI_CACHE": "NO",
}


def test_environment_of_main_does_not_leak(monkeypatch):
    """A variable of the main process is not in the job, but what the image sets is."""
    for name, value in MAINS.items():
        monkeypatch.setenv(name, value)
    with LocalAWS() as aws:
        account = Account(aws)
        job = account.ended(account.shell("env -0 | tr '\\0' '\\n'"))
        seen = dict(line.split("=", 1) for line in account.output(job))
    assert {name: seen.get(name) for name in MAINS if seen.get(name) == MAINS[name]} == {}
    assert image_variables().items() <= seen.items()


def image_variables():
    """Return what the image's Dockerfile sets, but for pip, and where its programs are."""
    text = (importlib.resources.files("rios_plugin_awsbatch.image") / "Dockerfile").read_text()
    lines = text.replace("\\\n", " ").splitlines()
    words = [word for line in lines if line.startswith("ENV ") for word in line.split()[1:]]
    pairs = dict(word.split("=", 1) for word in words)
    assert "PYTHONUNBUFFERED" in pairs
    places = {"PATH", "UV_PYTHON_INSTALL_DIR"}
    return {
        name: value
        for name, value in pairs.items()
        if not name.startswith("PIP_") and name not in places
    }


def test_jobs_import_what_every_image_has_and_nothing_else_of_main(tmp_path, monkeypatch):
    """RIOS may stand on PYTHONPATH; what is beside it is not seen."""
    for name in ("rios", "beside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    code = (
        "import importlib.util as u\n"
        "import rios_plugin_awsbatch, rios\n"
        "print(rios.__file__, u.find_spec('beside'), u.find_spec('tests'))"
    )
    with LocalAWS() as aws:
        account = Account(aws)
        job = account.ended(account.submit(sys.executable, "-c", code))
        (line,) = account.output(job)
    path, *others = line.split()
    assert path.endswith("/packages/rios/__init__.py")
    assert others[0] == "None"


def test_job_without_command_runs_the_worker(account):
    """Without a command, the image's entry point is started: the installed worker."""
    job = account.ended(account.submit(environment={"RIOS_AWSBATCH_RUN": "not a run's id!"}))
    assert job["status"] == "FAILED"
    assert account.output(job) != [] or job["container"]["reason"].startswith(
        "CannotStartContainerError"
    )


def test_command_that_cannot_be_started(account):
    """A command that does not exist fails the job with Batch's reason."""
    job = account.ended(account.submit("/no/such/program"))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert "exitCode" not in job["container"]


def test_missing_image(account):
    """An image named missing/... cannot be pulled, and the job says so."""
    job = account.ended(
        account.submit("true", definition=account.define(image="missing/rios:latest"))
    )
    assert job["status"] == "FAILED"
    assert job["statusReason"].startswith("CannotPullContainerError: ")


def test_what_a_job_leaves_running_is_killed(account):
    """When a job's main process has ended, the processes it left behind are gone."""
    job = account.ended(account.shell("sleep 1000 & echo $!"))
    assert job["status"] == "SUCCEEDED"
    (line,) = account.output(job)
    eventually(lambda: not alive(int(line)))


@pytest.mark.parametrize(
    ("request_part", "said"),
    [
        ({"jobDefinition": "no-such-definition"}, "no-such-definition"),
        ({"jobQueue": "no-such-queue"}, "no-such-queue"),
        ({"arrayProperties": {"size": 1}}, "Array size"),
        ({"retryStrategy": {"attempts": 11}}, "attempts"),
        (
            {
                "retryStrategy": {
                    "attempts": 2,
                    "evaluateOnExit": [{"onReason": "a*b", "action": "EXIT"}],
                }
            },
            "pattern",
        ),
        ({"containerOverrides": {"environment": [{"name": "A", "value": "x" * 9000}]}}, "8192"),
    ],
)
def test_what_batch_refuses(account, request_part, said):
    """What AWS Batch refuses is refused here, with a sentence that names it."""
    request = {"jobName": "test", "jobQueue": "riosJobQueue", "jobDefinition": "riosJobDefinition"}
    with pytest.raises(ClientError, match=said):
        account.batch.submit_job(**request | request_part)


def test_list_jobs(idle_account):
    """list_jobs lists jobs of a queue or children of an array, in one status, or by name."""
    batch = idle_account.batch
    single = idle_account.shell("true")
    array = idle_account.shell("true", arrayProperties={"size": 3})

    def listed(**wanted):
        pages = batch.get_paginator("list_jobs").paginate(
            **wanted, PaginationConfig={"PageSize": 2}
        )
        return [job["jobId"] for page in pages for job in page["jobSummaryList"]]

    assert listed(jobQueue="riosJobQueue") == []
    assert listed(jobQueue="riosJobQueue", jobStatus="RUNNABLE") == [single]
    assert listed(jobQueue="riosJobQueue", jobStatus="PENDING") == [array]
    assert listed(arrayJobId=array, jobStatus="RUNNABLE") == [
        f"{array}:{index}" for index in range(3)
    ]
    assert listed(jobQueue="riosJobQueue", filters=[{"name": "JOB_NAME", "values": ["te*"]}]) == [
        array,
        single,
    ]
    assert (
        listed(jobQueue="riosJobQueue", filters=[{"name": "JOB_NAME", "values": ["other"]}]) == []
    )
