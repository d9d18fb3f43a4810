"""A task that takes longer than it may: ended, tried again, and given up with where it stood."""

import os
import sys
import threading
import time

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import TaskLostError
from rios_plugin_awsbatch.wire.messages import Failure
from rios_plugin_awsbatch.worker.stacks import _stacks_in
from tests.support.blocks import Stage, note_call

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def deadlock(folder):
    note_call(1, folder)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def hang_once(folder):
    note_call(1, folder)
    if len(Stage(folder).calls()) == 1:
        time.sleep(600)
    return 7


def test_a_task_that_hangs_is_given_up_with_its_stack(cloud, tmp_path):
    """The error names the task, the setting and the line, and has the stack as its cause."""
    with BatchExecutor(1, task_timeout=0.5, max_attempts=2) as executor:
        future = executor.submit(deadlock, str(tmp_path))
        with pytest.raises(TaskLostError) as caught:
            future.result(60)
    text = str(caught.value)
    assert "deadlock: the process" in text
    assert "RIOS_AWSBATCH_TASK_TIMEOUT" in text
    assert f"it stood in deadlock, line {deadlock.__code__.co_firstlineno + 4} of" in text
    assert "2 times in a row" in text
    assert "memory" not in text
    assert "    lock.acquire()" in str(caught.value.__cause__)
    assert "rios_plugin_awsbatch" not in str(caught.value.__cause__).partition("[worker")[0]
    assert Stage(tmp_path).counts() == {1: 2}
    assert not cloud.run_queues()


def test_an_attempt_that_hangs_does_not_spoil_the_next(run, tmp_path):
    """The next attempt, in a new process, has the whole time again."""
    run.start(task_timeout=2)
    run.send(run.task(hang_once, str(tmp_path)), run.task(max, 2, 3, number=2))
    replies = sorted([run.reply(), run.reply()], key=lambda reply: reply.task)
    assert [reply.measures.attempt for reply in replies] == [2, 1]
    assert not any(isinstance(reply, Failure) for reply in replies)


def take_low_descriptors(folder):
    """Close what the process has open, as a daemon does, and open files instead."""
    os.closerange(3, 64)
    files = [open(f"{folder}/{n}", "wb", buffering=0) for n in range(20)]  # noqa: PTH123, SIM115
    globals()["kept"] = files
    return "R" * 50


def test_files_that_a_function_opens_get_nothing_of_ours(run, tmp_path):
    """Though it has closed all descriptors below: neither its reply nor its stack goes there."""
    run.start()
    run.send(run.task(take_low_descriptors, str(tmp_path)))
    assert run.value() == "R" * 50
    assert {file.stat().st_size for file in tmp_path.glob("[0-9]*")} == {0}


def test_stacks_are_told_as_in_a_traceback():
    """The most recent call comes last, and our own frames are left out."""
    stacks = _stacks_in(
        "Thread 0x1 (most recent call first):\n"
        '  File "/usr/lib/pool.py", line 5 in wait\n\n'
        "Current thread 0x2 (most recent call first):\n"
        '  File "/home/me/job.py", line 12 in inner\n'
        '  File "/home/me/job.py", line 30 in outer\n'
        '  File "/x/rios_plugin_awsbatch/worker/compute.py", line 99 in reply\n'
        '  File "<string>", line 1 in <module>\n'
    )
    assert stacks.place == "inner, line 12 of /home/me/job.py"
    assert stacks.text.splitlines() == [
        "Thread 0x1 (most recent call last):",
        '  File "/usr/lib/pool.py", line 5, in wait',
        "Current thread 0x2 (most recent call last):",
        '  File "/home/me/job.py", line 30, in outer',
        '  File "/home/me/job.py", line 12, in inner',
    ]
