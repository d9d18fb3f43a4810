"""Signals that end a process neither interrupt what takes its runs down, nor get lost."""

import atexit
import importlib.util
import multiprocessing.util
import signal
import sys

import pytest

from rios_plugin_awsbatch.run import exits
from rios_plugin_awsbatch.run.exits import close_at_exit, signals_deferred, signals_ignored


@pytest.fixture
def handled():
    """The signals that this process has handled."""
    numbers = []
    before = {
        number: signal.signal(number, lambda number, _frame: numbers.append(number))
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_wait_for_the_end_of_the_block(handled):
    """They are handled then, each once."""
    with signals_deferred():
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(number)
        assert handled == []
    assert handled == [signal.SIGTERM, signal.SIGHUP]


def test_signals_wait_also_if_the_block_fails(handled):
    """An error in the block loses no signal."""

    def fail():
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        fail()
    assert handled == [signal.SIGTERM]


def test_signals_are_ignored_while_the_process_ends(handled):
    """Also by what defers them in the block."""
    with signals_ignored():
        signal.raise_signal(signal.SIGTERM)
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
    assert handled == []
    signal.raise_signal(signal.SIGTERM)
    assert handled == [signal.SIGTERM]


def test_ignored_signals_stay_ignored():
    """`nohup` ignores SIGHUP, for instance."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_deferred():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_children_of_celery_end_their_runs_too(monkeypatch):
    """They call the finalizers of billiard, which is a copy of multiprocessing."""
    original = multiprocessing.util.__spec__
    billiard = importlib.util.module_from_spec(original)
    original.loader.exec_module(billiard)
    atexit.unregister(billiard._exit_function)
    monkeypatch.setitem(sys.modules, "billiard.util", billiard)
    closed = []

    def close():
        closed.append("closed")

    try:
        close_at_exit(close)
        close_at_exit(close)
        billiard._run_finalizers()
        assert closed == ["closed"]
    finally:
        atexit.unregister(close)
        exits._finalizers.pop((close, "multiprocessing.util")).cancel()
