"""Signals that end a process neither interrupt what takes its runs down, nor get lost."""

import atexit
import signal
import sys
import types

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


class CelerySignal:
    """Celery's signal in the least form; a receiver with a known id takes the place of its last."""

    def __init__(self):
        self._receivers = {}

    def connect(self, receiver, *, weak, dispatch_uid):
        assert not weak
        self._receivers[dispatch_uid] = receiver

    def send(self, sender, **named):
        for receiver in self._receivers.values():
            receiver(signal=self, sender=sender, **named)


def test_children_of_celery_end_their_runs_too(monkeypatch):
    """They leave by os._exit after this signal, without any finalizers."""
    ending = CelerySignal()
    module = types.SimpleNamespace(worker_process_shutdown=ending)
    monkeypatch.setitem(sys.modules, "celery.signals", module)
    closed = []

    def close():
        closed.append("closed")

    try:
        close_at_exit(close)
        close_at_exit(close)
        ending.send(None, pid=1, exitcode=0)
        assert closed == ["closed"]
    finally:
        atexit.unregister(close)
        exits._finalizers.pop(close).cancel()
