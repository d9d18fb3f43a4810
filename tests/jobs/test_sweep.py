"""What is left of submissions, and swept."""

import json

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.jobs.record import SubmissionRecord, read_record, write_record
from rios_plugin_awsbatch.jobs.sweep import sweep_submission_of, sweep_submissions
from tests.jobs.support import DEFINITIONS, definitions, job, run, submit
from tests.support.helpers import eventually

SLEEPS = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def unknown_at_once(monkeypatch):
    """Have Batch forget jobs at once; `test_a_job_that_batch_does_not_know_yet` does without."""
    monkeypatch.setattr("rios_plugin_awsbatch.jobs.sweep.UNKNOWN_SECONDS", -10)


@pytest.fixture
def clients(stack):  # noqa: ARG001 - of that stack
    return Clients("ap-southeast-2")


def test_clean_sweeps_what_a_killed_main_left(stack, script):
    """What a killed main job left is deleted; a submission that is being made stays."""
    stack.s3.put_object(Bucket=stack.bucket, Key="submissions/young/files.tar.gz", Body=b"")
    ended = submit(script("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"))
    eventually(lambda: job(stack, ended.job)["status"] == "FAILED")
    assert len(stack.objects("submissions/")) == 3
    cleaned = run("rios-awsbatch", "clean")
    assert "Swept 1 submissions whose jobs have ended." in cleaned.out
    assert stack.objects("submissions/") == ["submissions/young/files.tar.gz"]
    stack.s3.delete_object(Bucket=stack.bucket, Key="submissions/young/files.tar.gz")


@pytest.mark.usefixtures("submitter")
def test_a_job_that_has_not_ended_keeps_its_files(stack, script, clients):
    """Until it has, no sweep touches them, nor a definition that was registered for it."""
    ended = submit(script(SLEEPS), "--image", "elsewhere/rios:1")
    left = stack.objects("submissions/")
    assert sweep_submissions(clients, stack.bucket) == []
    assert stack.objects("submissions/") == left
    assert definitions(stack) != DEFINITIONS
    run("rios-awsbatch", "cancel", ended.job)
    assert definitions(stack) == DEFINITIONS


def test_only_the_submission_of_a_job_is_swept_with_it(stack, clients):
    """Others stay, whatever became of their jobs."""
    write_record(clients, stack.bucket, "one", SubmissionRecord(job="1"))
    write_record(clients, stack.bucket, "other", SubmissionRecord(job="2"))
    sweep_submission_of(clients, stack.bucket, "1")
    assert stack.objects("submissions/") == ["submissions/other/record.json"]
    assert sweep_submissions(clients, stack.bucket) == ["other"]  # Batch does not know job 2
    assert stack.objects("submissions/") == []


def test_a_job_that_batch_does_not_know_yet_keeps_its_files(stack, clients, monkeypatch):
    """DescribeJobs may not know for a while what SubmitJob has taken."""
    write_record(clients, stack.bucket, "new", SubmissionRecord(job="3"))
    with monkeypatch.context() as patched:
        patched.setattr("rios_plugin_awsbatch.jobs.sweep.UNKNOWN_SECONDS", 60)
        assert sweep_submissions(clients, stack.bucket) == []
    assert stack.objects("submissions/") == ["submissions/new/record.json"]


def test_what_cannot_be_swept_is_found_again(stack, clients, caplog):
    """An error is logged, the record stays, and the other submissions are swept."""
    bad = SubmissionRecord(job="1", definition=["no ARN"])
    write_record(clients, stack.bucket, "bad", bad)
    write_record(clients, stack.bucket, "good", SubmissionRecord(job="2"))
    sweep_submissions(clients, stack.bucket)
    assert stack.objects("submissions/") == ["submissions/bad/record.json"]
    assert "submission=bad could not delete what is left: " in caplog.text
    write_record(clients, stack.bucket, "bad", SubmissionRecord(job="1"))


def test_a_record_is_read_as_it_was_written(stack, clients):
    """It is JSON, with the names that older versions of this package wrote."""
    record = SubmissionRecord(job="1", definition="arn")
    write_record(clients, stack.bucket, "one", record)
    assert read_record(clients, stack.bucket, "one") == record
    stored = stack.s3.get_object(Bucket=stack.bucket, Key="submissions/one/record.json")
    assert json.loads(stored["Body"].read()) == {"job": "1", "definition": "arn"}
    stack.s3.delete_object(Bucket=stack.bucket, Key="submissions/one/record.json")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", None])
def test_a_record_that_cannot_be_read_is_empty(stack, clients, body):
    """A submission that was cut short has none, or half of one."""
    key = "submissions/half/record.json"
    if body is not None:
        stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=body)
    assert read_record(clients, stack.bucket, "half") == SubmissionRecord()
    stack.s3.delete_object(Bucket=stack.bucket, Key=key)
