"""The order in which RIOS 2 gets its blocks: the grid's, unless many wait for a slow one."""

import types

import numpy as np

from rios_plugin_awsbatch.hosts.rios2_order import HELD_TASKS, BlockOrder, ComputedTask


def task(*blocks, size=1):
    outputs = [types.SimpleNamespace(out=np.zeros(size, np.uint8)) for _ in blocks]
    return ComputedTask(blocks, outputs)


def put_all(order, tasks):
    return [block for one in tasks for due in order.put(one) for block in due.blocks]


def test_blocks_are_written_in_the_grids_order():
    """However their tasks come back, and however many blocks these have."""
    order = BlockOrder(range(7), workers=4)
    came = [task(4), task(1, 2), task(0), task(5, 6), task(3)]
    assert put_all(order, came) == [0, 1, 2, 3, 4, 5, 6]


def test_nobody_waits_for_a_slow_block():
    """If too many tasks are held back, the earliest goes on, and nothing is written twice."""
    workers = 2
    order = BlockOrder(range(12), workers)
    late = [task(number) for number in range(1, 12)]
    written = put_all(order, late)
    assert written == list(range(1, 12 - HELD_TASKS * workers))
    assert [block for due in order.put(task(0)) for block in due.blocks] == [
        0,
        *range(12 - HELD_TASKS * workers, 12),
    ]


def test_memory_is_not_filled_while_a_block_is_slow(monkeypatch):
    """Large blocks are held back up to a number of bytes."""
    monkeypatch.setattr("rios_plugin_awsbatch.hosts.rios2_order.HELD_BYTES", 100)
    order = BlockOrder(range(10), workers=100)
    assert put_all(order, [task(1, size=60)]) == []
    assert put_all(order, [task(2, size=60)]) == [1]
    assert put_all(order, [task(0)]) == [0, 2]
