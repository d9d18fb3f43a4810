"""The contract between RIOS 2 and compute workers, over the RIOS installed, or the double."""

import os
import threading
from pathlib import Path

import pytest

from tests.hosts.support import hosted

if hosted.contract() != 2:
    pytest.skip(
        "RIOS 2 is not installed; test_double.py runs this over a double of it",
        allow_module_level=True,
    )

import numpy as np
from rios import computemanager
from rios.rioserrors import WorkerExceptionError
from rios.structures import BlockAssociations, OtherInputs, Timers, WorkerErrorRecord

from rios_plugin_awsbatch.errors import PicklingError, SettingsError
from rios_plugin_awsbatch.hooks import hookimpl, register, unregister
from tests.hosts.support import functions
from tests.hosts.support.contract import Contract
from tests.support.helpers import eventually

BLOCKS = 8
RIOS_READS = {"computeWorkersRead": False, "numReadWorkers": 1}
# What our manager asks for, whatever else a version gives.
NEEDED = {
    "allInfo",
    "blockList",
    "controls",
    "exceptionQue",
    "inBlockBuffer",
    "infiles",
    "numWorkers",
    "otherArgs",
    "outBlockBuffer",
    "tmpfileMgr",
    "userFunction",
    "workinggrid",
}


@pytest.fixture
def host(farm, tmp_path):
    return Contract(tmp_path, hosted.on_batch())


@pytest.fixture
def spy():
    """A manager that records what the host gives it, and computes only each block's place."""
    seen = []

    class Spy(computemanager.ComputeWorkerManager):
        computeWorkerKind = "CW_SPY"
        computeWorkersRead_default = True

        def startWorkers(self, **given):
            seen.append(("start", given))
            self.outObjList = [Timers(), OtherInputs()]
            threading.Thread(target=self.compute, kwargs=given, daemon=True).start()

        @staticmethod
        def compute(blockList, outBlockBuffer, exceptionQue, otherArgs, **_):
            if otherArgs is not None:
                exceptionQue.put(WorkerErrorRecord(functions.BlockError("spied"), "compute"))
                outBlockBuffer.popTimeout = 0
                outBlockBuffer.nextBlockQ.put(object())
                return
            for block in reversed(blockList):
                outputs = BlockAssociations()
                outputs.out = np.full(
                    (1, block.nrows, block.ncols), 10 * block.top + block.left, np.int32
                )
                outBlockBuffer.insertCompleteBlock(block, outputs)

        def shutdown(self):
            seen.append(("shutdown", None))

    yield seen
    Spy.computeWorkerKind = None


def test_the_host_gives_what_ours_needs(host, spy):
    """The keywords, and a buffer that takes blocks in any order; then `shutdown`."""
    returned, written = host.apply(
        functions.add_bands_whole, parallel=hosted.on_batch(computeWorkerKind="CW_SPY")
    )
    (_, given), (last, _) = spy
    assert given.keys() >= NEEDED
    assert last == "shutdown"
    assert given["inBlockBuffer"] is None
    assert given["numWorkers"] == 2
    finished = given["outBlockBuffer"]
    assert {"popTimeout", "insertTimeout", "bufferCount", "nextBlockQ"} <= vars(finished).keys()
    assert (finished.bufferCount.acquire(), finished.bufferCount.release()) == (True, None)
    controls = given["controls"]
    assert {"progress", "loggingstream", "optionsByImage", "windowxsize", "windowysize"} <= vars(
        controls
    ).keys()
    assert "numReadWorkers" in vars(controls.concurrency)
    assert [(name, number) for name, number, _ in given["infiles"]] == [("img", None)]
    assert vars(given["infiles"]) == {"img": host.path}
    assert len(given["blockList"]) == BLOCKS
    assert [written[0, 32, 96], written[0, 0, 64]] == [10 * 32 + 96, 64]
    assert len(returned.otherArgsList) == 1


def test_the_host_reports_an_error_that_a_manager_has_queued(host, spy, capsys):
    """It waits for a block: one that does not exist wakes it, and then it looks for errors."""
    with pytest.raises(WorkerExceptionError):
        host.apply(functions.fail_at, {"where": None}, hosted.on_batch(computeWorkerKind="CW_SPY"))
    said = capsys.readouterr().err
    assert said.count("Error in") == 1
    assert "BlockError: spied" in said
    assert [what for what, _ in spy] == ["start", "shutdown"]


@pytest.mark.parametrize(
    "given", [{}, RIOS_READS, {"computeWorkerExtraParams": {"read": "workers"}}]
)
def test_workers_compute_what_a_serial_run_computes(given, host):
    """Every block is in its place, whoever reads: we, the host, or the workers."""
    _, serial = host.apply(functions.add_bands_whole, parallel=False)
    _, written = host.apply(functions.add_bands_whole, parallel=hosted.on_batch(**given))
    assert np.array_equal(written, serial)


def test_a_function_may_fill_the_same_array_for_every_block(host):
    """As at home, where each block is written before the next one is computed."""
    _, serial = host.apply(functions.double_in_one_buffer, parallel=False)
    parallel = hosted.on_batch(computeWorkerExtraParams={"blocks_per_task": 4})
    _, written = host.apply(functions.double_in_one_buffer, parallel=parallel)
    assert np.array_equal(written, serial)


def test_workers_compute_all_blocks(host):
    """Main computes none of them."""
    _, written = host.apply(functions.say_who)
    _, main = host.apply(functions.say_who, parallel=False)
    assert main[0, 0, 0] not in written


def test_sums_in_otherargs_are_exact(host):
    """Each task has its own copy, and main's stays unchanged."""
    returned, _ = host.apply(functions.count_pixels, {"pixels": 0, "blocks": []})
    assert sum(one.pixels for one in returned.otherArgsList) == hosted.ROWS * hosted.COLUMNS
    assert sorted(block for one in returned.otherArgsList for block in one.blocks) == [
        (column, row) for column in range(4) for row in range(2)
    ]


@pytest.mark.parametrize("read", ["main", "workers"])
def test_timings_of_the_workers_are_merged(read, host):
    """One interval for each block read, computed and inserted, wherever that happened."""
    returned, _ = host.apply(
        functions.add_bands_whole, parallel=hosted.on_batch(computeWorkerExtraParams={"read": read})
    )
    for name in ("reading", "userfunction", "insert_computebuffer"):
        assert len(returned.timings.getDurationsForName(name)) == BLOCKS, name


@pytest.mark.parametrize("given", [{}, RIOS_READS])
def test_the_users_error_is_reported_once(given, host, capsys):
    """As the host reports errors of its own workers; then the next `apply` works."""
    with pytest.raises(WorkerExceptionError):
        host.apply(functions.fail_at, {"where": (2, 1)}, hosted.on_batch(**given))
    said = capsys.readouterr().err
    assert said.count("Error in compute worker") == 1
    assert said.count("in fail_at") == 1
    assert "BlockError: block (2, 1) is bad" in said
    assert np.array_equal(host.apply(functions.add_bands_whole)[1][0], hosted.image().sum(axis=0))


def test_of_several_errors_one_is_reported(host, capsys):
    """Two workers fail at the same time; then the next `apply` works."""
    with pytest.raises(WorkerExceptionError):
        host.apply(functions.fail_everywhere)
    said = capsys.readouterr().err
    assert said.count("Error in") == 1
    assert "BlockError: every block is bad" in said
    assert np.array_equal(host.apply(functions.add_bands_whole)[1][0], hosted.image().sum(axis=0))


def test_what_cannot_be_pickled_is_named(host):
    """The error says what it is, before anything is computed."""
    with pytest.raises(PicklingError, match="cannot be pickled"):
        host.apply(functions.look_up, {"table": (one for one in ())})


def test_a_task_of_several_blocks_has_a_record_of_each(host):
    """By their places; the sizes of later tasks follow from these records."""
    records = []

    class Listener:
        @hookimpl
        def rios_awsbatch_task_done(self, record):
            records.append(record)

    listener = Listener()
    register(listener)
    host.apply(
        functions.add_bands_whole,
        parallel=hosted.on_batch(computeWorkerExtraParams={"blocks_per_task": 3}),
    )
    eventually(lambda: len(records) == 3)
    unregister(listener)
    records.sort(key=lambda record: record.task)
    assert [record.name for record in records] == [
        "block 0,0 and 2 more",
        "block 3,0 and 2 more",
        "block 2,1 and 1 more",
    ]
    assert [record.blocks for record in records] == [3, 3, 2]
    assert [block.name for record in records for block in record.block_records] == [
        f"block {column},{row}" for row in range(2) for column in range(4)
    ]
    for record in records:
        assert 0 < sum(block.seconds for block in record.block_records) <= record.seconds


def test_an_unknown_parameter_is_named(host):
    """Together with those that exist."""
    with pytest.raises(SettingsError, match=r"'stak'.*Known keys: .*stack"):
        host.apply(
            functions.add_bands_whole,
            parallel=hosted.on_batch(computeWorkerExtraParams={"stak": "RIOS"}),
        )


def test_globals_of_the_function_are_new_in_each_apply(host):
    """A worker that stays warm does not remember what an earlier `apply` has left in them."""
    for _ in range(2):
        _, written = host.apply(functions.count_seen, {"main": os.getpid()})
        assert 0 in written
    assert functions.SEEN == []


def test_numpy_treats_errors_as_in_main(host):
    """In every block, whatever is set in main when `apply` is called."""
    for divide in ("raise", "ignore"):
        with np.errstate(divide=divide):
            _, written = host.apply(functions.about_numpy)
        assert set(written.flat) == {divide == "raise"}


@pytest.mark.parametrize("read", ["main", "workers"])
def test_a_file_is_read_as_it_is_in_this_apply(read, host):
    """A worker that stays warm has closed the files of an earlier one."""
    reads = hosted.on_batch(computeWorkerExtraParams={"read": read})
    for image in (hosted.image(), hosted.image() + 1):
        Path(host.path).unlink()
        hosted.write(host.path, image)
        _, written = host.apply(functions.add_bands_whole, parallel=reads)
        assert np.array_equal(written[0], image.sum(axis=0))


def test_two_applies_share_a_run(farm, host):
    """The second one uses the workers of the first."""
    for _ in range(2):
        host.apply(functions.add_bands_whole)
        assert len(farm.run_queues()) == 2
