"""A bucket or queues that a run is given: used if they can be, and one clear error if not."""

import os

import pytest

from rios_plugin_awsbatch import AWSBatchException, BatchExecutor
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.wire.messages import RunKey, Stop, encode
from rios_plugin_awsbatch.wire.queue import MessageQueue
from tests.support import calls
from tests.support.helpers import eventually

PATIENCE = 120


@pytest.fixture
def given_queues(cloud, monkeypatch):
    """Two queues that somebody else has made, named in the environment."""
    urls = [cloud.queue(), cloud.queue()]
    monkeypatch.setenv("RIOS_AWSBATCH_IN_QUEUE", urls[0])
    monkeypatch.setenv("RIOS_AWSBATCH_OUT_QUEUE", urls[1])
    yield urls
    for url in urls:
        cloud.sqs.delete_queue(QueueUrl=url)


def first_call(**overrides):
    """Return the error with which the first call of an executor is refused."""
    with BatchExecutor(1, **overrides) as executor, pytest.raises(AWSBatchException) as caught:
        executor.submit(abs, -1).result(PATIENCE)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_bucket_that_is_missing_is_named(cloud, acting_as):
    """The error names bucket and stack; no queue, job or object is left."""
    acting_as("owner")  # AWS tells nobody else whether a bucket is missing
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
    """A run on given queues creates none, and leaves them empty for the next run."""
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
    """The error names the other run, whose message stays where it is."""
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


def test_short_polls_that_find_nothing_let_no_used_queue_pass(cloud, given_queues):
    """SQS may say that there is nothing where there is something; whoever must know asks well."""
    cloud.sqs.send_message(QueueUrl=given_queues[0], MessageBody="an order for a hundred bolts")
    with cloud.aws.control.odds(short_poll_empty=(1.0, 0.0, 0.0)):
        assert "holds messages of something else" in str(first_call())
    assert cloud.messages(given_queues[0]) == 1


def test_short_polls_that_find_nothing_leave_nothing_behind(cloud, given_queues):
    """Nor do polls that return fewer messages than there are."""
    for _ in range(15):
        cloud.sqs.send_message(QueueUrl=given_queues[0], MessageBody="left")
    with cloud.aws.control.odds(short_poll_empty=(1.0, 0.0, 0.0), fewer=(1.0, 0.0, 0.0)):
        MessageQueue(Clients("ap-southeast-2").sqs, given_queues[0]).drain()
    assert cloud.messages(given_queues[0]) == 0


def test_a_message_of_another_run_that_comes_later_ends_the_run(cloud, given_queues, tmp_path):
    """Of two mains on the same queues, one sees the other's message, and stops."""
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
def test_a_queue_that_takes_only_small_messages_gets_no_others(cloud, monkeypatch, limit):
    """What does not fit into a message of an old queue goes through the bucket."""
    urls = [cloud.queue(MaximumMessageSize=str(limit)), cloud.queue(MaximumMessageSize=str(limit))]
    monkeypatch.setenv("RIOS_AWSBATCH_IN_QUEUE", urls[0])
    monkeypatch.setenv("RIOS_AWSBATCH_OUT_QUEUE", urls[1])
    with BatchExecutor(1) as executor:
        for size in (10, 40_000, 100_000):
            assert executor.submit(bytes, size).result(PATIENCE) == bytes(size)
            assert executor.submit(len, bytes(size)).result(PATIENCE) == size
    for url in urls:
        cloud.sqs.delete_queue(QueueUrl=url)
