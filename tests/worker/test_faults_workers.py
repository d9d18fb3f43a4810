"""A lost worker costs time, but never a block."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import TaskLostError
from tests.support.blocks import (
    Stage,
    block,
    gated_block,
    killed_once_block,
    note_call,
    noted_block,
    same_blocks,
)
from tests.support.helpers import eventually

cloudpickle.register_pickle_by_value(sys.modules[__name__])
NUMBERS = range(6)
pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def executor(workers, **settings):
    return BatchExecutor(workers, **{"visibility_timeout": 5, **settings})


@pytest.mark.kind("counts how often a block is computed")
def test_a_worker_killed_while_computing_costs_time_only(stage):
    """When a container is killed (SIGKILL), another worker does its task; all results are right."""
    with executor(2) as pool:
        futures = [pool.submit(gated_block, number, stage.folder) for number in NUMBERS]
        number, _, worker = stage.nth_call(2)
        os.killpg(os.getpgid(worker), signal.SIGKILL)
        stage.open_gate()
        assert same_blocks([future.result(60) for future in futures], NUMBERS)
        assert stage.counts() == {**dict.fromkeys(NUMBERS, 1), number: 2}


@pytest.mark.kind("counts how often a block is computed")
def test_a_killed_compute_process_is_replaced_at_once(stage):
    """When the kernel kills the process that computes, its worker lives on and tries again."""
    with executor(2, visibility_timeout=3600) as pool:
        results = list(
            pool.map(killed_once_block, NUMBERS, [stage.folder] * len(NUMBERS), timeout=60)
        )
        assert same_blocks(results, NUMBERS)
        assert stage.counts() == dict.fromkeys(NUMBERS, 2)
        assert pool.statistics().workers <= 2


def kill_myself(number, folder):
    note_call(number, folder)
    os.kill(os.getpid(), signal.SIGKILL)


def read_address_zero(number, folder):
    note_call(number, folder)
    ctypes.string_at(0)


def leave_python(number, folder):
    note_call(number, folder)
    os._exit(7)


@pytest.mark.kind("counts how often a block is computed")
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (kill_myself, ["killed", "SIGKILL", "memory"]),
        (read_address_zero, ["crashed", "SIGSEGV", "log"]),
        (leave_python, ["left Python", "exit code 7"]),
    ],
)
def test_a_task_that_ends_every_process_is_given_up(stage, function, words):
    """A task whose process dies at each attempt becomes an error with its name and the cause."""
    with executor(1, max_attempts=2, visibility_timeout=3600) as pool:
        lost = pool.submit(function, 1, stage.folder)
        good = pool.submit(noted_block, 2, stage.folder)
        with pytest.raises(TaskLostError) as caught:
            lost.result(60)
        assert same_blocks([good.result(60)], [2])
    text = str(caught.value)
    assert function.__name__ in text
    assert [word for word in words if word not in text] == [], text
    assert stage.counts() == {1: 2, 2: 1}


@pytest.mark.kind("counts how often a block is computed")
def test_vanished_workers_are_no_attempts(stage):
    """A task may lose more workers than max_attempts, and is still computed."""

    def kill_two_containers(number, folder):
        note_call(number, folder)
        if Path(folder, "calls").read_text().count("\n") <= 2:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        return block(number)

    with executor(3, max_attempts=1) as pool:
        assert same_blocks([pool.submit(kill_two_containers, 1, stage.folder).result(90)], [1])
    assert stage.counts() == {1: 3}


def test_a_helper_process_that_outlives_the_compute_process_hides_no_death(stage):
    """The worker sees that its process is dead although a child of that holds all its files."""

    def fork_and_die(number, folder):
        note_call(number, folder)
        if Path(folder, "calls").read_text().count("\n") > 1:
            return block(number)
        if os.fork() == 0:
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    with executor(1, visibility_timeout=3600) as pool:
        assert same_blocks([pool.submit(fork_and_die, 4, stage.folder).result(60)], [4])


def test_a_child_that_a_function_forked_answers_for_nobody():
    """A child that a function forked gives no task a result when it leaves the function."""

    def fork_inside(number):
        pid = os.fork()
        if pid == 0 and number % 2:
            sys.exit(1)
        if pid:
            os.waitpid(pid, 0)
        return (number, pid > 0)

    with executor(1) as pool:
        assert list(pool.map(fork_inside, NUMBERS, timeout=60)) == [
            (number, True) for number in NUMBERS
        ]


def test_sigterm_hands_tasks_back_at_once(cloud, stage):
    """A worker that is told to stop gives its current and its next task to others, and exits 0."""
    with executor(2, visibility_timeout=3600) as pool:
        warm = [pool.submit(noted_block, number, stage.folder) for number in range(10, 16)]
        assert same_blocks([future.result(60) for future in warm], range(10, 16))
        futures = [pool.submit(gated_block, number, stage.folder) for number in NUMBERS]
        _, compute, worker = stage.nth_call(len(warm) + 2)
        job = job_of(compute)
        os.kill(worker, signal.SIGTERM)
        assert exit_code(cloud, job) == 0
        stage.open_gate()
        assert same_blocks([future.result(60) for future in futures], NUMBERS)


def test_the_last_worker_that_hands_back_does_not_take_its_task_again(stage):
    """A worker's own waiting request does not receive the task that it hands back."""
    with executor(1, visibility_timeout=3600) as pool:
        warm = [pool.submit(noted_block, number, stage.folder) for number in range(10, 14)]
        assert same_blocks([future.result(60) for future in warm], range(10, 14))
        future = pool.submit(gated_block, 1, stage.folder)
        _, _, worker = stage.nth_call(len(warm) + 1)
        os.kill(worker, signal.SIGTERM)
        _, _, other = stage.nth_call(len(warm) + 2)
        stage.open_gate()
        assert same_blocks([future.result(60)], [1])
        assert other != worker


def test_handing_back_counts_as_no_attempt(stage):
    """A task may be handed back by more workers than max_attempts, and is still not lost."""
    with executor(3, max_attempts=1, visibility_timeout=3600) as pool:
        future = pool.submit(gated_block, 3, stage.folder)
        for count in range(1, 4):
            _, _, worker = stage.nth_call(count)
            os.kill(worker, signal.SIGTERM)
        stage.nth_call(4)
        stage.open_gate()
        assert same_blocks([future.result(60)], [3])


def hold_the_lock_by_regex(number, folder):
    note_call(number, folder)
    begun = time.monotonic()
    letters = 20
    while time.monotonic() - begun < 7:
        # Each match takes twice as long as the last, and does not release the GIL.
        assert not re.match("(a+)+$", "a" * letters + "b")
        letters += 1
    return block(number)


def hold_the_lock_in_c(number, folder):
    note_call(number, folder)
    ctypes.PyDLL(None).sleep(7)
    return block(number)


def sleep_long(number, folder):
    note_call(number, folder)
    time.sleep(7)
    return block(number)


@pytest.mark.kind("counts how often a block is computed")
def test_tasks_longer_than_the_visibility_time_out_run_once(stage):
    """A task that outlasts the time-out runs exactly once, also if it never releases the GIL."""
    with executor(3) as pool:
        functions = [hold_the_lock_by_regex, hold_the_lock_in_c, sleep_long]
        futures = [
            pool.submit(function, number, stage.folder) for number, function in enumerate(functions)
        ]
        assert same_blocks([future.result(90) for future in futures], range(3))
    assert stage.counts() == dict.fromkeys(range(3), 1)


def test_idle_workers_end_and_a_later_task_starts_new_ones(cloud, stage):
    """Workers that were idle for too long end without an error; the next task starts others."""
    with executor(1, idle_timeout=1) as pool:
        assert same_blocks([pool.submit(noted_block, 1, stage.folder).result(60)], [1])
        eventually(lambda: not cloud.unfinished_jobs(), "the idle worker did not end")
        assert same_blocks([pool.submit(noted_block, 2, stage.folder).result(60)], [2])
    (_, _, first), (_, _, second) = stage.calls()
    assert first != second


def job_of(process):
    """Return the id of the Batch job that a process which computes belongs to."""
    environment = subprocess.run(
        ["ps", "eww", "-o", "args=", "-p", str(process)], capture_output=True, text=True, check=True
    )
    return re.search(r"AWS_BATCH_JOB_ID=(\S+)", environment.stdout).group(1)


def exit_code(cloud, job):
    """Wait for the end of a job; return its exit code."""

    def ended():
        (described,) = cloud.batch.describe_jobs(jobs=[job])["jobs"]
        return described["status"] in {"SUCCEEDED", "FAILED"} and described

    return eventually(ended, f"job {job} did not end")["container"]["exitCode"]
