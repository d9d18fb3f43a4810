"""What a worker measures of a task, and tells main and its log."""

import os
import re
import signal
import sys
import time

import cloudpickle
import numpy as np
import pytest

from rios_plugin_awsbatch.records import BLOCKS_KEPT, measured_block
from rios_plugin_awsbatch.settings import INLINE_MARGIN, INLINE_MAX
from rios_plugin_awsbatch.wire.messages import Failure, Measures, Result
from rios_plugin_awsbatch.wire.queue import MESSAGE_BYTES

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def many_blocks(count, name):
    for number in range(count):
        with measured_block(f"{name} {number}"):
            time.sleep(0.001)
    return count


def fail_in_second_block():
    with measured_block("one"):
        pass
    with measured_block("two"):
        raise KeyError


def kill_myself():
    os.kill(os.getpid(), signal.SIGKILL)


def large_result_of_many_blocks(size):
    for _ in range(BLOCKS_KEPT):
        with measured_block("\U0001f30d" * 1000):
            pass
    return np.zeros(size, np.uint8)


@pytest.mark.kind("counts attempts")
def test_a_result_carries_its_measures(run):
    """Attempt, time, bytes and number of blocks come with the result."""
    before = time.time()
    run.start()
    task = run.task(abs, -1)
    run.send(task)
    reply = run.reply()
    measures = reply.measures
    assert before < measures.measured.begun < time.time()
    assert 0 < measures.measured.seconds < time.time() - before
    assert (measures.bytes_in, measures.bytes_out) == (task.arguments.size, reply.payload.size)
    assert (measures.attempt, measures.measured.blocks, measures.measured.block_records) == (
        1,
        1,
        (),
    )


def test_measured_blocks_come_with_the_result(run):
    """Each block of a task that measures its blocks has a record."""
    run.start()
    run.send(run.task(many_blocks, 3, "block"))
    measures = run.reply().measures
    assert measures.measured.blocks == 3
    assert [block.name for block in measures.measured.block_records] == [
        "block 0",
        "block 1",
        "block 2",
    ]
    first, second, third = measures.measured.block_records
    assert measures.measured.begun <= first.begun <= second.begun <= third.begun
    assert (
        0.001 * 3
        <= sum(block.seconds for block in measures.measured.block_records)
        <= measures.measured.seconds
    )


def test_a_task_of_very_many_blocks_carries_the_first_records(run):
    """All blocks are counted, but only so many records travel."""
    run.start()
    run.send(run.task(many_blocks, BLOCKS_KEPT + 9, "block"))
    measures = run.reply().measures
    assert measures.measured.blocks == BLOCKS_KEPT + 9
    assert [block.name for block in measures.measured.block_records] == [
        f"block {number}" for number in range(BLOCKS_KEPT)
    ]


def test_records_of_blocks_leave_room_for_the_result(run):
    """A result that would fit into a message without its records still reaches main."""
    run.start()
    run.send(run.task(large_result_of_many_blocks, INLINE_MAX - INLINE_MARGIN - 300))
    reply = run.reply()
    assert isinstance(reply, Result)
    assert reply.payload.key is not None
    assert len(reply.measures.measured.block_records) == BLOCKS_KEPT
    assert len(run.exchange.encode(reply)) < MESSAGE_BYTES


def test_a_failure_carries_its_measures(run):
    """When the function raises, the blocks until then have records, the failed one too."""
    run.start()
    run.send(run.task(fail_in_second_block))
    reply = run.reply()
    assert (reply.reason, reply.error) == ("raised", "KeyError")
    assert [block.name for block in reply.measures.measured.block_records] == ["one", "two"]
    assert reply.measures.measured.seconds > 0
    assert reply.measures.bytes_out == 0


def test_a_refused_task_says_that_it_was_not_begun(run):
    """A task that the worker cannot take has an attempt and bytes, but no time."""
    run.start()
    task = run.task(abs, -1, python="2.7").model_copy(update={"failed": 1})
    run.send(task)
    reply = run.reply()
    assert reply.reason == "refused"
    assert reply.measures == Measures(attempt=2, bytes_in=task.arguments.size)


@pytest.mark.kind("counts attempts")
@pytest.mark.parametrize("failed", [0, 2])
def test_a_lost_task_says_when_it_was_begun(run, failed):
    """A task that ended its process has the time of the last attempt, and its number."""
    before = time.time()
    run.start(max_attempts=failed + 1)
    run.send(run.task(kill_myself).model_copy(update={"failed": failed}))
    reply = run.reply()
    assert isinstance(reply, Failure)
    assert reply.reason == "lost"
    assert reply.measures.attempt == failed + 1
    assert before < reply.measures.measured.begun < time.time()
    assert reply.measures.measured.seconds > 0


def test_the_log_has_the_same_measures(run):
    """The worker's line about a task is made from what it tells main."""
    run.start()
    run.send(run.task(abs, -1, number=7, name="block 3,4"))
    reply = run.reply()
    (line,) = re.findall(r"run=by-hand task=7 .*", run.log())
    measures = reply.measures
    assert line == (
        f"run=by-hand task=7 block='block 3,4' worker={reply.worker} attempt=1 "
        f"seconds={measures.measured.seconds:.3f} bytes_in={measures.bytes_in} "
        f"bytes_out={measures.bytes_out} done"
    )
