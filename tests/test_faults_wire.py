"""S3 and SQS at their worst: refused, lost, repeated, late, damaged; the results stay those of a serial computation."""

import sys

import cloudpickle
import pytest
from blocks import Stage, block, gated_block, noted_block, same_blocks
from faults import Faults, Rule
from helpers import Cloud, eventually

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import AWSBatchException, PayloadError
from rios_plugin_awsbatch.local import LocalAWS

cloudpickle.register_pickle_by_value(sys.modules[__name__])
NUMBERS = range(8)
# Everything above it goes through S3.
SMALL = {"inline_limit": 1000, "visibility_timeout": 5, "startup_timeout": 60}


@pytest.fixture(scope="module")
def faulty_cloud():
    with LocalAWS(workers=2, stop_grace=2.0, middleware="faults:factory") as aws:
        yield Cloud(aws)


@pytest.fixture
def cloud(faulty_cloud):
    """The embedded AWS with faults, in use; afterwards no run may be left in it."""
    with faulty_cloud.aws.activated():
        yield faulty_cloud
        eventually(lambda: not faulty_cloud.left(), lambda: f"a run has left {faulty_cloud.left()}")


@pytest.fixture
def faults(cloud):
    switch = Faults(cloud.aws.endpoint)
    yield switch
    switch.set()


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def twice_a_block(pixels):
    return pixels * 2


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("slow_down", "s3", "PUT", "/tasks/", times=4), Rule("slow_down", "s3", "GET", "/results/", times=4)],
        [Rule("lost", "s3", "PUT", "/results/", times=3), Rule("lost", "s3", "GET", "/tasks/", times=3)],
        [Rule("cut", "s3", "PUT", "/tasks/", times=3), Rule("drop", "s3", "GET", "/results/", times=3)],
        [Rule("half", "s3", "GET", "/tasks/", times=2), Rule("half", "s3", "GET", "/results/", times=2)],
        [Rule("lost", "sqs", "SendMessageBatch", times=4)],
        [
            Rule("lost", "sqs", "ReceiveMessage", "-tasks", times=2),
            Rule("lost", "sqs", "ReceiveMessage", "-results", times=3),
        ],
        [Rule("drop", "sqs", "ReceiveMessage", times=3), Rule("cut", "sqs", "SendMessageBatch", times=3)],
        [Rule("lost", "sqs", "DeleteMessageBatch", times=2)],
        [Rule("slow_down", "sqs", times=3)],
        [Rule("twice", "sqs", "SendMessageBatch"), Rule("twice", "s3", "PUT")],
        [Rule("late", "sqs", seconds=0.1), Rule("late", "s3", seconds=0.05)],
        [Rule("slow_down", "batch", "submitjob", times=2)],
    ],
    ids=lambda rules: "+".join(f"{rule.fault}-{rule.service}{rule.operation}" for rule in rules),
)
def test_faults_that_pass_change_no_result(cloud, faults, rules):  # noqa: ARG001 - one must be there
    """While AWS refuses, loses, repeats or delays requests, every block comes back once and as computed here."""
    with faults.injected(*rules), BatchExecutor(2, **SMALL) as pool:
        blocks = [block(number) for number in NUMBERS]
        results = list(pool.map(twice_a_block, blocks, timeout=60))
        assert pool.statistics().tasks == len(NUMBERS)
    assert same_blocks([pixels // 2 for pixels in results], NUMBERS)


def test_a_lost_submission_of_the_job_leaves_no_workers(cloud, faults):
    """If Batch takes the workers' job and its answer is lost, the job that is submitted again is not one too many."""
    with faults.injected(Rule("lost", "batch", "submitjob", times=1)), BatchExecutor(1, **SMALL) as pool:
        assert same_blocks([pool.submit(block, 1).result(60)], [1])
    eventually(lambda: not cloud.unfinished_jobs(), "a job was left", patience=30)


def test_damaged_arguments_are_an_error_that_names_them(cloud, faults):  # noqa: ARG001 - see above
    """Arguments that a worker gets damaged from the bucket are never used; the error names the object."""
    with faults.injected(Rule("corrupt", "s3", "GET", "/tasks/")), BatchExecutor(1, **SMALL) as pool:
        future = pool.submit(twice_a_block, block(1))
        with pytest.raises(PayloadError, match=r"runs/\S+/tasks/0 .*damaged or forged"):
            future.result(60)


def test_damaged_results_are_an_error_that_names_them(cloud, faults):  # noqa: ARG001 - see above
    """A result that main gets damaged from the bucket is never used; the error names the object."""
    with faults.injected(Rule("corrupt", "s3", "GET", "/results/")), BatchExecutor(1, **SMALL) as pool:
        with pytest.raises(PayloadError, match=r"runs/\S+/results/0-\S+ .*damaged or forged"):
            pool.submit(block, 1).result(60)


def test_missing_arguments_are_an_error_that_names_them(cloud, stage):
    """Arguments that are gone from the bucket are a clear error, and the other tasks go on."""
    with BatchExecutor(1, **SMALL) as pool:
        first = pool.submit(gated_block, 1, stage.folder)
        stage.nth_call(1)
        future = pool.submit(twice_a_block, block(1))
        last = pool.submit(noted_block, 2, stage.folder)
        (key,) = eventually(lambda: [key for key in cloud.objects() if key.endswith("tasks/1")])
        cloud.s3.delete_object(Bucket=cloud.bucket, Key=key)
        stage.open_gate()
        with pytest.raises(PayloadError, match=rf"{key} is not in bucket {cloud.bucket}"):
            future.result(60)
        assert same_blocks([first.result(60), last.result(60)], [1, 2])


def test_a_result_that_may_not_be_stored_is_a_clear_error(cloud, faults):  # noqa: ARG001 - see above
    """When the bucket refuses a worker's result, main gets an error that names task and bucket."""
    with faults.injected(Rule("denied", "s3", "PUT", "/results/")), BatchExecutor(1, **SMALL) as pool:
        with pytest.raises(AWSBatchException, match="block: its result cannot be stored in bucket .*may not"):
            pool.submit(block, 1).result(60)


def test_a_bucket_deleted_meanwhile_is_a_clear_error(cloud, stage):
    """When the bucket vanishes during the run, results that need it are errors that name it, and nothing hangs."""
    with BatchExecutor(1, **SMALL) as pool:
        future = pool.submit(gated_block, 1, stage.folder)
        stage.nth_call(1)
        for key in cloud.objects():
            cloud.s3.delete_object(Bucket=cloud.bucket, Key=key)
        cloud.s3.delete_bucket(Bucket=cloud.bucket)
        try:
            stage.open_gate()
            with pytest.raises(AWSBatchException, match=rf"gated_block.*{cloud.bucket}.*does not exist"):
                future.result(60)
            with pytest.raises(AWSBatchException, match=rf"{cloud.bucket}|bucket does not exist"):
                pool.submit(twice_a_block, block(1)).result(60)
        finally:
            cloud.s3.create_bucket(
                Bucket=cloud.bucket, CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"}
            )


def test_an_end_while_arguments_are_uploaded_leaves_no_object(cloud, faults):
    """When main gives up while large arguments are on their way to the bucket, none arrives after the clean-up."""
    pool = BatchExecutor(1, **SMALL)
    with faults.injected(Rule("late", "s3", "PUT", "/tasks/", seconds=1.0)):
        for number in NUMBERS:
            pool.submit(twice_a_block, block(number))
        eventually(lambda: faults.counts()[0], "no upload has begun")
        pool.shutdown(cancel_futures=True)
        assert not cloud.objects()
        assert not cloud.run_queues()
