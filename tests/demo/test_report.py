"""The demo's report: sums of the records of its blocks."""

import io
import threading

import pytest
from rich.console import Console

from rios_plugin_awsbatch.demo.job import run_demo
from rios_plugin_awsbatch.demo.report import BlockTotals, counted_blocks
from rios_plugin_awsbatch.records import MAIN
from tests.demo.support import NO_GDAL, record_block


def test_blocks_of_workers_and_of_main_are_summed_up_apart():
    """The sums have how many blocks there were, and how long they took together."""
    with counted_blocks() as counter:
        record_block(MAIN)
        record_block("one worker")
        record_block("another worker")
    assert counter.totals(3) == (BlockTotals(2, 1.0), BlockTotals(1, 0.5))


def test_a_block_that_was_not_computed_does_not_count():
    """Only outcome "done" counts: the others have no result."""
    with counted_blocks() as counter:
        record_block("a worker", outcome="cancelled")
        record_block("a worker", outcome="raised")
        record_block("a worker")
    assert counter.totals(1) == (BlockTotals(1, 0.5), BlockTotals())


def test_the_last_record_is_waited_for():
    """A record comes a moment after the result that it is about."""
    with counted_blocks() as counter:
        late = threading.Timer(0.1, record_block, ["a worker"])
        late.start()
        assert counter.totals(1, patience=60) == (BlockTotals(1, 0.5), BlockTotals())
        late.join()


def test_nothing_is_counted_after_the_demo():
    """The counter is a plugin only as long as the demo runs."""
    with counted_blocks() as counter:
        pass
    record_block("a worker")
    assert counter.totals(0) == (BlockTotals(), BlockTotals())


@pytest.mark.gdal
@pytest.mark.skipif(bool(NO_GDAL), reason=NO_GDAL or "GDAL is there")
@pytest.mark.parametrize(("block", "blocks"), [(64, 36), (1000, 1)])
def test_on_batch_workers_compute_every_block(warm, scene_path, tmp_path, block, blocks):  # noqa: ARG001 - the AWS
    """The demo shows that workers work: main computes nothing, however quick or few blocks are."""
    report = run_demo(scene_path, tmp_path / "ndvi.tif", 2, block, Console(file=io.StringIO()))
    assert (report.in_workers.blocks, report.in_main.blocks) == (blocks, 0)
    assert report.workers in {1, 2}
    assert report.in_workers.seconds > 0
    assert report.bytes_sent > 349 * 352
    assert report.bytes_received > 349 * 352
