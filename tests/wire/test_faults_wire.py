"""S3 and SQS at their worst: the results stay those of a serial computation."""

import secrets
import signal
import sys
from pathlib import Path

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import AWSBatchException, MessageError, PayloadError
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Result, RunKey, Stop, encode
from tests.support.blocks import Stage, block, gated_block, noted_block, run_with, same_blocks
from tests.support.faults import Faults, Rule
from tests.support.helpers import Cloud, eventually
from tests.worker.support import ManualRun

cloudpickle.register_pickle_by_value(sys.modules[__name__])
NUMBERS = range(8)
pytestmark = pytest.mark.usefixtures("cloud")
# Everything above it goes through S3.
SMALL = {"inline_limit": 1000, "visibility_timeout": 5, "startup_timeout": 60}


@pytest.fixture(scope="module")
def faulty_cloud():
    middleware = "tests.support.faults:factory"
    # Kind but for the faults, which are counted.
    with LocalAWS(workers=2, stop_grace=2.0, activate=False, middleware=middleware) as aws:
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
        [
            Rule("slow_down", "s3", "PUT", "/tasks/", times=4),
            Rule("slow_down", "s3", "GET", "/results/", times=4),
        ],
        [
            Rule("lost", "s3", "PUT", "/results/", times=3),
            Rule("lost", "s3", "GET", "/tasks/", times=3),
        ],
        [
            Rule("cut", "s3", "PUT", "/tasks/", times=3),
            Rule("drop", "s3", "GET", "/results/", times=3),
        ],
        [
            Rule("half", "s3", "GET", "/tasks/", times=2),
            Rule("half", "s3", "GET", "/results/", times=2),
        ],
        [Rule("lost", "sqs", "SendMessageBatch", times=4)],
        [
            Rule("lost", "sqs", "ReceiveMessage", "-tasks", times=2),
            Rule("lost", "sqs", "ReceiveMessage", "-results", times=3),
        ],
        [
            Rule("drop", "sqs", "ReceiveMessage", times=3),
            Rule("cut", "sqs", "SendMessageBatch", times=3),
        ],
        [Rule("lost", "sqs", "DeleteMessageBatch", times=2)],
        [Rule("slow_down", "sqs", times=3)],
        [Rule("twice", "sqs", "SendMessageBatch"), Rule("twice", "s3", "PUT")],
        [Rule("late", "sqs", seconds=0.1), Rule("late", "s3", seconds=0.05)],
        [Rule("slow_down", "batch", "submitjob", times=2)],
    ],
    ids=lambda rules: "+".join(f"{rule.fault}-{rule.service}{rule.operation}" for rule in rules),
)
def test_faults_that_pass_change_no_result(faults, rules):
    """While AWS refuses, loses, repeats or delays requests, every block comes back, right."""
    with faults.injected(*rules), BatchExecutor(2, **SMALL) as pool:
        blocks = [block(number) for number in NUMBERS]
        results = list(pool.map(twice_a_block, blocks, timeout=60))
        assert pool.statistics().tasks == len(NUMBERS)
    assert same_blocks([pixels // 2 for pixels in results], NUMBERS)


def test_a_lost_submission_of_the_job_leaves_no_workers(cloud, faults):
    """If the answer to SubmitJob is lost, the job that is submitted again is not one too many."""
    with (
        faults.injected(Rule("lost", "batch", "submitjob", times=1)),
        BatchExecutor(1, **SMALL) as pool,
    ):
        assert same_blocks([pool.submit(block, 1).result(60)], [1])
    eventually(lambda: not cloud.unfinished_jobs(), "a job was left", patience=30)


def test_damaged_arguments_are_an_error_that_names_them(faults):
    """Damaged arguments are never used; the error names the object."""
    with (
        faults.injected(Rule("corrupt", "s3", "GET", "/tasks/")),
        BatchExecutor(1, **SMALL) as pool,
    ):
        future = pool.submit(twice_a_block, block(1))
        with pytest.raises(PayloadError, match=r"runs/\S+/tasks/0 .*damaged or forged"):
            future.result(60)


def test_damaged_results_are_an_error_that_names_them(faults):
    """A result that main gets damaged from the bucket is never used; the error names the object."""
    with (
        faults.injected(Rule("corrupt", "s3", "GET", "/results/")),
        BatchExecutor(1, **SMALL) as pool,
    ):
        future = pool.submit(block, 1)
        with pytest.raises(PayloadError, match=r"runs/\S+/results/0-\S+ .*damaged or forged"):
            future.result(60)


def test_missing_arguments_are_an_error_that_names_them(cloud, stage):
    """Arguments that are gone from the bucket are a clear error, and the other tasks go on."""
    with BatchExecutor(1, **SMALL) as pool:
        first = pool.submit(gated_block, 1, stage.folder)
        stage.nth_call(1)
        future = pool.submit(twice_a_block, block(1))
        last = pool.submit(noted_block, 2, stage.folder)
        (queue,) = [url for url in cloud.run_queues() if url.endswith("-tasks")]
        eventually(lambda: cloud.messages(queue) == 3)
        (key,) = [key for key in cloud.objects() if key.endswith("tasks/1")]
        cloud.s3.delete_object(Bucket=cloud.bucket, Key=key)
        stage.open_gate()
        with pytest.raises(
            PayloadError,
            match=rf"{key} cannot be read from bucket {cloud.bucket}: either it is no longer there",
        ):
            future.result(60)
        assert same_blocks([first.result(60), last.result(60)], [1, 2])


def test_a_result_that_may_not_be_stored_is_a_clear_error(faults):
    """When the bucket refuses a worker's result, main gets an error that names task and bucket."""
    with (
        faults.injected(Rule("denied", "s3", "PUT", "/results/")),
        BatchExecutor(1, **SMALL) as pool,
    ):
        future = pool.submit(block, 1)
        with pytest.raises(
            AWSBatchException, match=r"block: its result cannot be stored in bucket .*do not allow"
        ):
            future.result(60)


def test_a_bucket_deleted_meanwhile_is_a_clear_error(cloud, stage):
    """When the bucket vanishes during the run, results that need it are errors that name it."""
    with BatchExecutor(1, **SMALL) as pool:
        future = pool.submit(gated_block, 1, stage.folder)
        stage.nth_call(1)
        for key in cloud.objects():
            cloud.s3.delete_object(Bucket=cloud.bucket, Key=key)
        cloud.s3.delete_bucket(Bucket=cloud.bucket)
        try:
            stage.open_gate()
            with pytest.raises(
                AWSBatchException, match=rf"gated_block.*{cloud.bucket}.*does not exist"
            ):
                future.result(60)
            with pytest.raises(AWSBatchException, match=rf"{cloud.bucket}|bucket does not exist"):
                pool.submit(twice_a_block, block(1)).result(60)
        finally:
            cloud.s3.create_bucket(
                Bucket=cloud.bucket,
                CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"},
            )


def test_an_end_while_arguments_are_uploaded_leaves_no_object(cloud, faults):
    """When main gives up while arguments are being uploaded, none arrives after the clean-up."""
    pool = BatchExecutor(1, **SMALL)
    with faults.injected(Rule("late", "s3", "PUT", "/tasks/", seconds=1.0)):
        for number in NUMBERS:
            pool.submit(twice_a_block, block(number))
        eventually(lambda: faults.counts()[0], "no upload has begun")
        pool.shutdown(cancel_futures=True)
        eventually(lambda: not faults.busy(), "uploads went on for ever")
    assert not cloud.objects()
    assert not cloud.run_queues()


def test_an_end_while_workers_are_submitted_leaves_no_job(cloud, faults):
    """When main gives up while its workers' job is on its way to Batch, the job is ended too."""
    pool = BatchExecutor(1, **SMALL)
    with faults.injected(Rule("late", "batch", "submitjob", seconds=1.0)):
        pool.submit(block, 1)
        eventually(lambda: faults.counts()[0], "no job was submitted")
        pool.shutdown(cancel_futures=True)
        eventually(lambda: not faults.busy(), "the submission went on for ever")
    assert not cloud.objects()
    assert not cloud.run_queues()
    eventually(lambda: not cloud.unfinished_jobs(), "a job was left", patience=10)


class Bomb:
    """Unpickling it leaves a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_main_unpickles_nothing_that_is_not_authentic(stage, tmp_path, caplog):
    """Forged, foreign and repeated messages are logged and ignored, never unpickled."""
    bomb = tmp_path / "exploded"
    with run_with(1, visibility_timeout=5) as run:
        future = run.submit(gated_block, (1, stage.folder))
        stage.nth_call(1)
        ours = run._exchange
        forger = Exchange(
            ours.tasks, ours.results, ours.store, RunKey(run.run_id, secrets.token_hex(32)), 700_000
        )
        data = payload.dumps(Bomb(bomb), "a result")
        forged = Result(task=0, worker="forger", payload=forger.pack(data, "results/0-forger"))
        stored = Result(task=0, worker="forger", payload=forger.pack(data, "results/0-forger", 0))
        messages = [
            "garbage",
            cloudpickle.dumps(Bomb(bomb)).hex(),
            forger.encode(forged),
            forger.encode(stored),
            ours.encode(forged).replace("forger", "FORGER"),
        ]
        ours.results.send(messages)
        eventually(lambda: len(ignored(caplog)) == len(messages), caplog.messages)
        stage.open_gate()
        assert same_blocks([future.result(60)], [1])
        late = Result(
            task=0,
            worker="forger",
            payload=ours.pack(payload.dumps("another", "a result"), "results/0"),
        )
        ours.results.send([ours.encode(late)])
        assert same_blocks([run.submit(noted_block, (2, stage.folder)).result(60)], [2])
        assert run.statistics().tasks == 2
    assert sum("does not come from this package" in line for line in ignored(caplog)) == 2
    assert sum("damaged or forged" in line for line in ignored(caplog)) == 3
    assert not bomb.exists()


def ignored(caplog):
    return [record.getMessage() for record in caplog.records if record.name.endswith("receiver")]


def test_a_message_of_another_run_ends_the_run_with_a_reason(stage):
    """A run that finds another run's messages on its queues ends and says so."""
    with run_with(1) as run:
        future = run.submit(gated_block, (1, stage.folder))
        stage.nth_call(1)
        run._exchange.results.send([encode(Stop(), RunKey("another", secrets.token_hex(32)))])
        with pytest.raises(
            MessageError, match=rf"run another is on a queue of run {run.run_id}; one run at a time"
        ):
            future.result(60)


@pytest.fixture
def by_hand(cloud, tmp_path):
    run = ManualRun(cloud, tmp_path)
    yield run
    run.close()
    run.exchange.store.clear()
    for url in run.queues:
        cloud.sqs.delete_queue(QueueUrl=url)


def test_a_worker_that_ends_sends_anew_what_it_was_just_receiving(cloud, faults, by_hand):
    """Though it has begun none: the answer to its request comes after it was told to stop."""
    tasks = by_hand.queues[0]
    faults.set(Rule("held", "sqs", "ReceiveMessage", tasks, seconds=0.5, times=1))
    process = by_hand.start(visibility_timeout=3600)
    by_hand.send(by_hand.task(block, 1))
    eventually(lambda: cloud.hidden_messages(tasks) == 1)
    process.send_signal(signal.SIGTERM)
    assert by_hand.end() == 0
    (again,) = by_hand.exchange.tasks.receive(10, wait=0, visibility=5)
    assert again.attempts == 1
