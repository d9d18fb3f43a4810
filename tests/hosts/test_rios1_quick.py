"""Rounds of RIOS 1.4's blocks that main computes, because sending them takes longer."""

import os
import time
import types

import numpy as np

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.hosts.rios1_choice import LEARNING_ROUNDS
from tests.hosts.support.jobs import accumulate, blocks, double


def test_blocks_quicker_than_their_transport_are_computed_by_main(manager):
    """After enough rounds; each block still has its own copy of the otherargs, as in a worker."""
    for _ in range(LEARNING_ROUNDS):
        outputs = manager.runSubJobs(double, blocks(3))
        assert os.getpid() not in {output.pid for output in outputs[1:]}
    rounds = [
        manager.runSubJobs(double, blocks(3)) for _ in range(10)
    ]  # a busy machine may make one look slow
    assert all(
        [output.place for output in outputs] == [(number, 7) for number in range(3)]
        for outputs in rounds
    )
    assert {os.getpid()} in [{output.pid for output in outputs} for outputs in rounds]

    given = types.SimpleNamespace(total=0, table=np.zeros(3))
    outputs = manager.runSubJobs(accumulate, blocks(3, otherargs=given))
    assert [output.total for output in outputs] == [0, 20, 40]
    assert [output.table for output in outputs] == [given.table.size] * 3, (
        "none sees what another one has changed"
    )
    assert given.table.tolist() == [1, 1, 1], (
        "main's own block changes the script's, as without a manager"
    )


def test_blocks_that_take_longer_again_are_sent_again(manager):
    """Main computes the first slow one, and sends the rest of its round to the workers."""

    def double_slowly(info, inputs, outputs):
        time.sleep(2.0)
        double(info, inputs, outputs)

    for _ in range(LEARNING_ROUNDS + 1):
        manager.runSubJobs(double, blocks(3))
    outputs = manager.runSubJobs(double_slowly, blocks(3))
    assert [output.place for output in outputs] == [(number, 7) for number in range(3)]
    assert outputs[2].pid != os.getpid()


def test_quick_blocks_can_be_left_to_the_workers(warm, monkeypatch):
    """A setting does it, for a main with little memory, or without what the function needs."""
    monkeypatch.setenv("RIOS_AWSBATCH_QUICK_BLOCKS", "workers")
    manager = AWSBatchJobManager(2)
    rounds = [manager.runSubJobs(double, blocks(2)) for _ in range(LEARNING_ROUNDS + 5)]
    assert os.getpid() not in {output.pid for _, output in rounds}
    manager.finalise()
