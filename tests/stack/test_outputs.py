"""What a run needs of its stack; and when it is not there, one clear error, and nothing is lost or left."""

import os
import subprocess
import sys
import uuid

import pytest

import rios_plugin_awsbatch
from rios_plugin_awsbatch import AWSBatchException, BatchExecutor, getStackOutputs
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import StackOutputs, read_outputs, typed_outputs
from rios_plugin_awsbatch.wire.messages import RunKey, Stop, encode
from tests.support import calls
from tests.support.helpers import eventually, without_aws

PATIENCE = 120
TEMPLATE = """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {BucketName: %s}
Outputs:
  BatchBucket: {Value: %s}
"""


@pytest.fixture
def given_queues(cloud, monkeypatch):
    """Two queues that somebody else has made, named in the environment."""
    urls = [cloud.queue(), cloud.queue()]
    monkeypatch.setenv("RIOS_AWSBATCH_IN_QUEUE", urls[0])
    monkeypatch.setenv("RIOS_AWSBATCH_OUT_QUEUE", urls[1])
    yield urls
    for url in urls:
        cloud.sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def foreign_stack(cloud):
    """A stack in the same region that is none of this package's."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    cloud.cloudformation.create_stack(StackName=name, TemplateBody=TEMPLATE % (name, name))
    yield name
    cloud.cloudformation.delete_stack(StackName=name)


def first_call(**overrides):
    """Return the error with which the first call of an executor is refused."""
    with BatchExecutor(1, **overrides) as executor, pytest.raises(AWSBatchException) as caught:
        executor.submit(abs, -1).result(PATIENCE)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_outputs_are_those_of_the_stack(cloud):
    """A dict of all outputs, as RIOS's function returns it, also those that this package does not need."""
    assert getStackOutputs() == cloud.outputs
    assert rios_plugin_awsbatch.getStackOutputs is getStackOutputs
    assert {
        "BatchBucket",
        "BatchInQueue",
        "BatchOutQueue",
        "BatchProcessingJobQueueName",
    } <= getStackOutputs().keys()


def test_what_a_run_needs_is_a_record(cloud):
    """Names as they are, the number as a number; a bucket that is set goes before the stack's."""
    outputs = typed_outputs(getStackOutputs(), load(Settings))
    assert outputs == StackOutputs(
        "RIOS", cloud.bucket, cloud.job_queue, cloud.outputs["BatchProcessingJobDefinitionName"], 3
    )
    assert typed_outputs(getStackOutputs(), load(Settings, bucket="mine")).bucket == "mine"


def test_a_stack_that_is_not_there_is_named(cloud, monkeypatch):
    """The error names stack and region, and the variables that name another one."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    with pytest.raises(StackError) as caught:
        getStackOutputs()
    assert str(caught.value) == (
        "There is no stack Nowhere in ap-southeast-2; create it, or name another one in RIOS_AWSBATCH_STACK and "
        "RIOS_AWSBATCH_REGION."
    )
    assert str(first_call()) == str(caught.value)
    assert not cloud.left()


@pytest.mark.parametrize("region", ["eu-central-1", "Mars 1"])
def test_a_stack_in_another_region_is_not_found(cloud, region):
    """The stack is looked for in the region that the settings name, which may be none of AWS's."""
    error = first_call(region=region)
    assert isinstance(error, StackError)
    assert f"stack RIOS in {region}" in str(error)
    assert not cloud.left()


def test_a_stack_without_the_outputs_is_refused(cloud, foreign_stack):
    """Somebody else's stack of that name: the error names every output that is missing."""
    error = first_call(stack=foreign_stack)
    assert isinstance(error, StackError)
    for name in ("BatchProcessingJobQueueName", "BatchProcessingJobDefinitionName", "BatchMaxJobs"):
        assert name in str(error)
    assert "BatchBucket" not in str(error)
    assert f"Stack {foreign_stack} in ap-southeast-2 has no output" in str(error)
    assert not cloud.left()


def test_an_output_that_is_no_number_is_refused(cloud):
    """The outputs of a stack can be edited by hand."""
    outputs = {**cloud.outputs, "BatchMaxJobs": "many"}
    with pytest.raises(StackError, match="BatchMaxJobs of stack RIOS is 'many', not a number"):
        typed_outputs(outputs, load(Settings))


def test_without_credentials_there_is_one_sentence(cloud):
    """Neither a traceback of boto3's nor a wait for a metadata service: what is missing, and what to do."""
    code = (
        "from rios_plugin_awsbatch import *\n"
        "for use in (getStackOutputs, lambda: BatchExecutor(1).submit(abs, -1)):\n"
        "    try: use()\n"
        "    except AWSBatchException as error: print(type(error).__name__, error)\n"
    )
    environment = {**without_aws(), "AWS_ENDPOINT_URL": cloud.aws.endpoint}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    said = "StackError Cannot read stack RIOS in ap-southeast-2: there are no AWS credentials; run `aws configure`"
    lines = ended.stdout.splitlines()
    assert [line.startswith(said) for line in lines] == [True, True]
    assert ended.stderr == ""


def test_an_aws_that_cannot_be_reached_is_told(cloud, monkeypatch):
    """No network: the error says so, with the address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(
        StackError, match=r"Cannot read stack RIOS .*AWS cannot be reached .*127\.0\.0\.1:9"
    ):
        read_outputs(load(Settings))
    assert cloud.bucket


def test_a_bucket_that_is_missing_is_named(cloud):
    """The error names bucket and stack; no queue, job or object is left."""
    error = first_call(bucket="there-is-no-such-bucket")
    assert isinstance(error, StackError)
    assert "bucket there-is-no-such-bucket of stack RIOS" in str(error)
    assert "NoSuchBucket" in str(error)
    assert not cloud.left()


@pytest.mark.parametrize("missing", [0, 1])
def test_a_queue_that_is_missing_is_named(cloud, given_queues, missing):
    """The error has the URL that was given; nothing is left, and the other queue is as it was."""
    urls = list(given_queues)
    urls[missing] += "-gone"
    error = first_call(in_queue=urls[0], out_queue=urls[1])
    assert isinstance(error, StackError)
    assert f"queue {urls[missing]}" in str(error)
    assert not cloud.left()
    assert [cloud.messages(url) for url in given_queues] == [0, 0]


def test_given_queues_are_used_and_stay(cloud, given_queues):
    """A run on given queues creates none, and leaves those in place and empty; the next run uses them again."""
    for _ in range(2):
        with BatchExecutor(2) as executor:
            assert list(executor.map(abs, range(20))) == list(range(20))
            assert not cloud.run_queues()
        assert [cloud.messages(url) for url in given_queues] == [0, 0]


def test_given_queues_are_empty_after_a_run_that_was_broken_off(cloud, given_queues, tmp_path):
    """What was on its way when the script gave up is in nobody's way afterwards."""

    with calls.let_go(tmp_path / "go") as go:
        executor = BatchExecutor(1)
        assert executor.submit(abs, -1).result(PATIENCE) == 1
        futures = [executor.submit(calls.await_file, str(go)) for _ in range(20)]
        executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)
    assert [cloud.messages(url) for url in given_queues] == [0, 0]
    with BatchExecutor(1) as executor:
        assert executor.submit(abs, -2).result(PATIENCE) == 2


def test_queues_under_rioss_names_are_used(cloud, given_queues, monkeypatch):
    """RIOSInQueue and RIOSOutQueue mean the same."""
    for name, alias in (
        ("RIOS_AWSBATCH_IN_QUEUE", "RIOSInQueue"),
        ("RIOS_AWSBATCH_OUT_QUEUE", "RIOSOutQueue"),
    ):
        monkeypatch.setenv(alias, os.environ[name])
        monkeypatch.delenv(name)
    with BatchExecutor(1) as executor:
        assert executor.submit(abs, -1).result(PATIENCE) == 1
        assert not cloud.run_queues()
    assert [cloud.messages(url) for url in given_queues] == [0, 0]


@pytest.mark.parametrize("which", [0, 1])
def test_given_queues_that_another_run_uses_are_refused(cloud, given_queues, which):
    """One run at a time owns a queue: the error names the other one, whose message stays where it is."""
    url = given_queues[which]
    cloud.sqs.send_message(
        QueueUrl=url, MessageBody=encode(Stop(), RunKey("the-other-run", "00" * 32))
    )
    error = first_call()
    assert isinstance(error, StackError)
    assert f"Queue {url} holds messages of run the-other-run" in str(error)
    assert "purge the queue" in str(error)
    assert not cloud.left()
    assert cloud.messages(url) == 1


def test_given_queues_that_hold_something_else_are_refused(cloud, given_queues):
    """A queue that serves another purpose is not touched."""
    cloud.sqs.send_message(QueueUrl=given_queues[0], MessageBody="an order for a hundred bolts")
    error = first_call()
    assert "holds messages of something else" in str(error)
    assert cloud.messages(given_queues[0]) == 1
    assert not cloud.left()


def test_a_message_of_another_run_that_comes_later_ends_the_run(cloud, given_queues, tmp_path):
    """Two mains on the same given queues: the one that sees the other's message says so, and waits no longer."""

    with calls.let_go(tmp_path / "go") as go, BatchExecutor(1) as executor:
        future = executor.submit(calls.await_file, str(go))
        body = encode(Stop(), RunKey("the-other-run", "00" * 32))
        cloud.sqs.send_message(QueueUrl=given_queues[1], MessageBody=body)
        error = future.exception(PATIENCE)
        assert isinstance(error, AWSBatchException)
        assert "A message of run the-other-run is on a queue of run" in str(error)
        with pytest.raises(AWSBatchException, match="the-other-run"):
            executor.submit(abs, -1)
    eventually(lambda: not cloud.left(), lambda: f"left: {cloud.left()}", patience=15)


@pytest.mark.parametrize("limit", [1024, 65536])
def test_a_queue_that_takes_only_small_messages_gets_none_else(cloud, monkeypatch, limit):
    """Queues of before SQS took 1 MiB: what does not fit into a message goes through the bucket."""
    urls = [cloud.queue(MaximumMessageSize=str(limit)), cloud.queue(MaximumMessageSize=str(limit))]
    monkeypatch.setenv("RIOS_AWSBATCH_IN_QUEUE", urls[0])
    monkeypatch.setenv("RIOS_AWSBATCH_OUT_QUEUE", urls[1])
    with BatchExecutor(1) as executor:
        for size in (10, 40_000, 100_000):
            assert executor.submit(bytes, size).result(PATIENCE) == bytes(size)
            assert executor.submit(len, bytes(size)).result(PATIENCE) == size
    for url in urls:
        cloud.sqs.delete_queue(QueueUrl=url)
