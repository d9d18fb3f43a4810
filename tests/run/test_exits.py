"""Signals that end a process neither interrupt what takes its runs down, nor get lost."""

import signal

import pytest

from rios_plugin_awsbatch.run.exits import signals_deferred, signals_ignored


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
