"""What a record names is looked at before it is deleted, and stays in it until it is gone."""

import json

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run.sweep import sweep
from tests.support.faults import Faults, Rule
from tests.support.helpers import Cloud, eventually
from tests.support.images import defined

RUN = "20260101T000000-deadbeef"


@pytest.fixture(scope="module")
def faulty():
    """An embedded AWS with faults."""
    with LocalAWS(workers=2, stop_grace=1.0, middleware="tests.support.faults:factory") as aws:
        yield Cloud(aws), Faults(aws.endpoint)


@pytest.fixture
def cloud(faulty):
    with faulty[0].aws.activated():
        yield faulty[0]
        eventually(lambda: not faulty[0].left(), lambda: f"left: {faulty[0].left()}")


@pytest.fixture
def faults(faulty):
    yield faulty[1]
    faulty[1].set()


def sweep_all(cloud):
    return sweep(Clients("ap-southeast-2"), cloud.bucket, stale_seconds=-10)


def sweep_now(cloud):
    return sweep(Clients("ap-southeast-2"), cloud.bucket)


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (Rule("denied", "sqs", "DeleteQueue"), "queues"),
        (Rule("denied", "batch", "terminatejob"), "jobs"),
    ],
)
def test_what_could_not_be_deleted_stays_in_the_record_until_it_is(cloud, faults, rule, left):
    """However often it is tried; and it is tried again at once, as main says that it is over."""
    with defined(cloud, command=["sleep", "600"]) as definition:
        with faults.injected(rule):
            with BatchExecutor(1, job_definition=definition) as executor:
                executor.submit(abs, -1).cancel()
            assert cloud.left()[left]
            assert sweep_now(cloud)
            assert cloud.left()[left]
            assert len(cloud.objects()) == 1
        assert sweep_now(cloud)
        assert not cloud.objects()
        assert not cloud.run_queues()
        eventually(lambda: not cloud.unfinished_jobs())


def test_what_is_not_the_runs_own_is_left_alone_and_told(cloud, caplog):
    """Whoever may write a record must not delete with the rights of who sweeps."""
    queue = cloud.queue()
    with defined(cloud, command=["sleep", "600"]) as definition:
        job = cloud.batch.submit_job(
            jobName="other-team", jobQueue=cloud.job_queue, jobDefinition=definition
        )["jobId"]
        record = {"queues": [queue], "jobs": [job, 7], "launches": 5, "job_queue": ["?"]}
        write(cloud, RUN, record)
        assert sweep_all(cloud) == [RUN]
        assert cloud.messages(queue) == 0  # it is there
        assert cloud.unfinished_jobs() == [job]
        cloud.batch.terminate_job(jobId=job, reason="end of the test")
        eventually(lambda: not cloud.unfinished_jobs())
    assert "1 queues that are not this run's" in caplog.text
    assert "1 jobs that are not this run's" in caplog.text
    cloud.sqs.delete_queue(QueueUrl=queue)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"queues": 5}', b"[" * 100_000])
def test_an_odd_record_keeps_no_other_from_being_swept(cloud, body):
    """Each is looked at by itself."""
    cloud.s3.put_object(Bucket=cloud.bucket, Key=f"runs/{RUN}/run.json", Body=body)
    write(cloud, "20260102T000000-00000000", {"queues": []})
    assert len(sweep_all(cloud)) == 2
    assert not cloud.objects()


def test_a_record_of_a_job_queue_that_is_gone_is_swept(cloud):
    """The stack was made anew, and has kept its bucket."""
    write(cloud, RUN, {"job_queue": "deleted", "launches": [f"rios-{RUN}-1"]})
    cloud.s3.put_object(Bucket=cloud.bucket, Key=f"runs/{RUN}/payload", Body=b"")
    assert sweep_all(cloud) == [RUN]
    assert cloud.objects() == [f"runs/{RUN}/run.json"]  # a job might come to light within a minute
    cloud.s3.delete_object(Bucket=cloud.bucket, Key=f"runs/{RUN}/run.json")


def write(cloud, run_id, record):
    cloud.s3.put_object(
        Bucket=cloud.bucket, Key=f"runs/{run_id}/run.json", Body=json.dumps(record).encode()
    )
