"""The job manager's contract with RIOS 1.4: what `rios.applier` calls, and what it gets."""

import os
import types

import numpy as np
import pytest

from tests.hosts.support.jobs import JobInfo, Outputs, UnpreparedInfo, accumulate, blocks, double


def test_a_round_of_blocks_comes_back_in_order(manager):
    """One output for each job info, whoever computed it."""
    for _ in range(3):
        outputs = manager.runSubJobs(double, blocks(6))
        assert [output.place for output in outputs] == [(number, 7) for number in range(6)]
        assert all((output.image == 2 * number).all() for number, output in enumerate(outputs))


def test_the_first_block_is_computed_by_main(manager):
    """As in every manager of RIOS; workers compute the others."""
    outputs = manager.runSubJobs(double, blocks(4))
    assert outputs[0].pid == os.getpid()
    assert os.getpid() not in {output.pid for output in outputs[1:]}


def test_the_steps_of_a_round_can_be_taken_one_by_one(manager):
    """startAllJobs, waitOnJobs and gatherAllOutputs; the first in the list is a result."""
    jobs = manager.startAllJobs(double, blocks(4))
    assert isinstance(jobs[0], Outputs)
    assert len(jobs) == 4
    manager.waitOnJobs(jobs)
    assert [output.place[0] for output in manager.gatherAllOutputs(jobs)] == [0, 1, 2, 3]


def test_a_job_can_be_started_by_itself(manager):
    """Scripts that call startOneJob put a first result of their own before the others."""
    jobs = [None, *(manager.startOneJob(double, info) for info in blocks(3))]
    manager.waitOnJobs(jobs)
    first, *outputs = manager.gatherAllOutputs(jobs)
    assert first is None
    assert [output.place[0] for output in outputs] == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_a_round_without_work_for_others_starts_no_workers(manager, cloud, count):
    """The last round of an image may have only one block, or none."""
    outputs = manager.runSubJobs(double, blocks(count))
    assert [output.pid for output in outputs] == [os.getpid()] * count
    assert not cloud.left()


def test_a_round_may_be_larger_than_the_number_of_workers(manager):
    """Blocks wait for a free worker."""
    assert [output.place[0] for output in manager.runSubJobs(double, blocks(40))] == list(range(40))


def test_each_block_of_the_workers_has_fresh_otherargs(manager):
    """A worker starts each block from the script's otherargs, not from those of its last block."""
    given = types.SimpleNamespace(total=0, table=np.zeros(50_000))
    for _ in range(2):
        outputs = manager.runSubJobs(accumulate, blocks(8, otherargs=given))
        main, *others = outputs
        assert [output.total for output in others] == [20 * number for number in range(1, 8)]
        assert {output.table for output in others} == {given.table.size}
        assert (
            main.table == given.table.sum()
        )  # the first block changes the script's own, as without a manager
        given.table[:] = given.total = 0


def test_otherargs_are_taken_as_they_are_when_the_block_is_sent(manager):
    """If a script changes its otherargs between two rounds, the second round has the change."""
    given = types.SimpleNamespace(total=0, table=np.zeros(3))
    manager.runSubJobs(accumulate, blocks(2, otherargs=given))
    given.total = 1000
    assert manager.runSubJobs(accumulate, blocks(2, otherargs=given))[1].total == 1020


def test_otherargs_cross_once(manager, cloud):
    """A large table in otherargs is stored once per run, not once per block."""
    given = types.SimpleNamespace(
        total=0, table=np.random.default_rng(0).integers(1_000, size=200_000)
    )

    def look(_info, inputs, outputs, otherargs):
        outputs.total = otherargs.table.sum() + inputs.image[0, 0]

    for _ in range(2):
        outputs = manager.runSubJobs(look, blocks(6, otherargs=given))
    assert [output.total for output in outputs] == [
        given.table.sum() + number for number in range(6)
    ]
    assert len([key for key in cloud.objects() if "/shared/" in key]) == 1
    assert manager.statistics().bytes_sent < 2 * given.table.nbytes


def test_inputs_can_be_changed_in_place(manager):
    """A function may work in place, in workers as in main."""

    def negate(_info, inputs, outputs):
        inputs.image *= -1
        outputs.image = inputs.image

    outputs = manager.runSubJobs(negate, blocks(4))
    assert [output.image[0, 0] for output in outputs] == [0, -1, -2, -3]


@pytest.mark.parametrize("side", [10, 400, 1500])
def test_blocks_of_any_size_travel(manager, side):
    """Small ones in the message, large ones through the bucket."""
    image = np.random.default_rng(1).integers(0, 30_000, (side, side), dtype=np.int16)
    outputs = manager.runSubJobs(double, blocks(3, inputs=image))
    assert all(np.array_equal(output.image, image * 2) for output in outputs)


def test_what_rios_makes_ready_is_what_travels(manager):
    """A job info cannot be pickled before prepareForPickling has been called."""
    assert manager.runSubJobs(double, blocks(2))[1].place == (1, 7)
    with pytest.raises(OSError, match="no such dataset"):
        manager.runSubJobs(double, [JobInfo(0), UnpreparedInfo(1)])
