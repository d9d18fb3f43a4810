"""What nobody waits for: it is not computed, not paid, and in nobody's way."""

import gc
import weakref
from concurrent.futures import CancelledError

import pytest

from rios_plugin_awsbatch import BatchExecutor
from tests.support import calls
from tests.support.helpers import eventually


def test_a_result_of_a_map_is_held_by_its_reader_alone(cloud):
    """Blocks are large: one that has been taken and dropped takes no memory any more."""
    with BatchExecutor(1) as executor:
        for result in executor.map(calls.Accumulator, range(3)):
            reference = weakref.ref(result)
            del result
            gc.collect()
            assert reference() is None
    assert not cloud.run_queues()


def test_ctrl_c_while_shutdown_waits_ends_all_at_once(cloud, tmp_path, monkeypatch):
    """Nobody waits any more: the run is taken down, and what was computed is cancelled."""

    def interrupted(_futures):
        raise KeyboardInterrupt

    with calls.let_go(tmp_path / "go") as go:
        executor = BatchExecutor(1)
        future = executor.submit(calls.touch_and_await, str(tmp_path / "begun"), str(go))
        eventually((tmp_path / "begun").exists)
        monkeypatch.setattr("rios_plugin_awsbatch.hosts.executor.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            executor.shutdown()
        assert not cloud.run_queues()
        with pytest.raises(CancelledError):
            future.result(0)
