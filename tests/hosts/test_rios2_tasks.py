"""How many blocks of RIOS 2 make one task."""

import dataclasses
import threading
import types

import numpy as np
import pytest

from rios_plugin_awsbatch.hosts.rios2_tasks import (
    LAST_TASKS,
    MOST_BLOCKS,
    MOST_BYTES,
    TASK_SECONDS,
    TaskPlan,
)
from rios_plugin_awsbatch.records import TaskRecord

RECORD = TaskRecord(
    run="r",
    task=0,
    name="block 0,0",
    blocks=1,
    worker="w",
    attempt=1,
    sent=1.0,
    begun=1.0,
    seconds=0.0,
    bytes_in=0,
    bytes_out=0,
    requests=0,
    outcome="done",
)
MANY = 100_000


def plan_after(seconds, blocks=1, *, workers=2, total=MANY, fixed=None):
    """A plan that has heard of one task."""
    plan = TaskPlan(range(total), workers, fixed)
    plan.note_task(dataclasses.replace(RECORD, seconds=seconds, blocks=blocks))
    return plan


def test_each_block_is_in_one_task():
    """In order, and then there are none left."""
    plan = plan_after(TASK_SECONDS / 8, total=100)
    tasks = list(iter(plan.take, range(0)))
    assert [block for task in tasks for block in task] == list(range(100))
    assert plan.take() == range(0)


def test_a_task_has_one_block_until_something_is_known():
    """A record without a measurement says nothing."""
    assert len(TaskPlan(range(MANY), 2, None).take()) == 1
    assert len(plan_after(0.0).take()) == 1


@pytest.mark.parametrize(
    ("seconds", "blocks", "size"),
    [
        (TASK_SECONDS / 8, 1, 8),
        (TASK_SECONDS, 8, 8),
        (TASK_SECONDS * 3, 1, 1),
        (1e-9, 1, MOST_BLOCKS),
    ],
)
def test_quick_blocks_share_a_task(seconds, blocks, size):
    """As many as fill the time that a task should take, of which blocks took this."""
    assert len(plan_after(seconds, blocks).take()) == size


def test_a_change_of_pace_counts_more_with_each_task():
    """The estimate follows the latest records."""
    plan = plan_after(TASK_SECONDS / 16)
    sizes = []
    for _ in range(8):
        plan.note_task(dataclasses.replace(RECORD, seconds=TASK_SECONDS))
        sizes.append(len(plan.take()))
    assert sizes[0] > 1
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


def test_large_inputs_make_small_tasks():
    """Lists of inputs count too; inputs that workers read do not."""
    plan = plan_after(1e-9)
    plan.note_inputs(None)
    assert len(plan.take()) == MOST_BLOCKS
    half = np.zeros(MOST_BYTES // 8, np.uint8)
    plan.note_inputs(types.SimpleNamespace(one=half, several=[half, half, None], none=None))
    assert len(plan.take()) == 2


def test_the_last_tasks_are_small():
    """All workers have something to do until the end."""
    plan = plan_after(1e-9, workers=2, total=2 * LAST_TASKS * 4)
    sizes = [len(task) for task in iter(plan.take, range(0))]
    assert sizes[0] == 4
    assert sizes[-2 * LAST_TASKS :] == [1] * 2 * LAST_TASKS


def test_a_given_size_is_kept():
    """Whatever is measured; the last task has what is left."""
    plan = plan_after(100.0, total=10, fixed=4)
    assert [len(task) for task in iter(plan.take, range(0))] == [4, 4, 2]


def test_several_threads_may_take():
    """No block is lost or handed out twice."""
    plan = plan_after(TASK_SECONDS / 3, total=3000)
    taken = [[] for _ in range(4)]

    def take(mine):
        while task := plan.take():
            mine.extend(task)
            plan.note_task(dataclasses.replace(RECORD, seconds=0.1, blocks=len(task)))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(block for mine in taken for block in mine) == list(range(3000))
