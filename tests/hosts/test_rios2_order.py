"""The order in which RIOS 2 gets its blocks: the grid's, unless many wait for a slow one."""

import types

import numpy as np
import pytest

from rios_plugin_awsbatch.hosts import rios2_order
from rios_plugin_awsbatch.hosts.rios2_order import BlockOrder


def put_all(order, tasks, size=1):
    """Put tasks, tuples of blocks; return the blocks that could be written."""
    return [
        block
        for blocks in tasks
        for block, _ in order.put(
            (block, types.SimpleNamespace(out=np.zeros(size, np.uint8))) for block in blocks
        )
    ]


@pytest.mark.parametrize(
    "tasks",
    [[(4,), (1, 2), (0,), (5, 6), (3,)], [(3, 0), (6, 5), (2, 4), (1,)]],
    ids=["tasks", "blocks"],
)
def test_blocks_are_written_in_the_grids_order(tasks):
    """However their tasks come back, and whichever blocks these have."""
    assert put_all(BlockOrder(range(7)), tasks) == list(range(7))


def test_nobody_waits_for_a_slow_block(monkeypatch):
    """If much memory is held back, the earliest blocks go on; nothing is written twice."""
    monkeypatch.setattr(rios2_order, "HELD_BYTES", 100)
    order = BlockOrder(range(6))
    assert put_all(order, [(1,)], size=60) == []
    assert put_all(order, [(2,), (4,)], size=60) == [1, 2]
    assert put_all(order, [(0,), (5, 3)]) == [0, 3, 4, 5]
