"""A block that computes longer than its message can be hidden is computed once."""

import os
import signal
import sys

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.wire.messages import Begun, Failure, Stop
from tests.support.blocks import Stage, gated_block, same_blocks
from tests.support.faults import Faults, Rule
from tests.support.helpers import Cloud, eventually

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def faulty_cloud():
    """An embedded AWS that extends nothing: twelve hours are over at once."""
    middleware = "tests.support.faults:factory"
    with LocalAWS(workers=3, stop_grace=2.0, activate=False, middleware=middleware) as aws:
        yield Cloud(aws)


@pytest.fixture
def no_extension(faulty_cloud, monkeypatch):
    monkeypatch.setenv("RIOS_AWSBATCH_STARTUP_TIMEOUT", "120")
    with faulty_cloud.aws.activated():
        faults = Faults(faulty_cloud.aws.endpoint)
        faults.set(Rule("denied", "sqs", "ChangeMessageVisibilityBatch"))
        yield faulty_cloud
        faults.set()


def test_a_block_beyond_the_longest_visibility_is_computed_once(no_extension, tmp_path):
    """Its worker keeps it: the message is gone, and idle workers find nothing to compute."""
    stage = Stage(tmp_path)
    with BatchExecutor(3, visibility_timeout=5) as pool:
        future = pool.submit(gated_block, 1, stage.folder)
        stage.nth_call(1)
        queue = next(url for url in no_extension.run_queues() if url.endswith("-tasks"))
        eventually(lambda: not no_extension.messages(queue))
        assert future.running()
        stage.open_gate()
        assert same_blocks([future.result(60)], [1])
    assert stage.counts() == {1: 1}


def test_a_block_that_its_worker_kept_survives_the_worker(no_extension, tmp_path):
    """When the worker falls silent, main sends the task anew."""
    stage = Stage(tmp_path)
    with BatchExecutor(2, visibility_timeout=5) as pool:
        future = pool.submit(gated_block, 1, stage.folder)
        _, _, worker = stage.nth_call(1)
        queue = next(url for url in no_extension.run_queues() if url.endswith("-tasks"))
        eventually(lambda: not no_extension.messages(queue))
        os.killpg(os.getpgid(worker), signal.SIGKILL)
        stage.nth_call(2)
        stage.open_gate()
        assert same_blocks([future.result(60)], [1])
    assert stage.counts() == {1: 2}


def test_a_kept_task_is_handed_back_when_its_worker_is_told_to_stop(run, tmp_path):
    """As any other; the queue has it again."""
    stage = Stage(tmp_path)
    process = run.start(visibility_timeout=5)
    run.send(run.task(gated_block, 1, stage.folder))
    stage.nth_call(1)
    assert kept_notice(run).task == 1
    process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    (again,) = run.exchange.tasks.receive(10, wait=0, visibility=5)
    assert (again.attempts, run.exchange.decode(again.body).failed) == (1, 0)


def kept_notice(run):
    return eventually(
        lambda: (reply := run.heard()) and isinstance(reply, Begun) and reply.kept and reply
    )


@pytest.fixture
def cloud(no_extension):
    return no_extension


def test_lost_machines_are_no_attempts(run):
    """Nine of them in a row do not count; the tenth is told as what it is."""
    run.start(max_attempts=1)
    task = run.task(max, 2, 3)
    run.send(task.model_copy(update={"vanished": 9}), task.model_copy(update={"vanished": 10}))
    replies = [run.reply(), run.reply()]
    (lost,) = [reply for reply in replies if isinstance(reply, Failure)]
    (done,) = [reply for reply in replies if not isinstance(reply, Failure)]
    assert lost.reason == "lost"
    assert "machine lost, 10 times in a row" in lost.text
    assert done.measures.attempt == 1
    run.send(Stop())
    assert run.end() == 0
