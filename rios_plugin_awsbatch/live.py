"""The runs that are alive in this process: found again by a second use, ended on every way out.

A cold start of Batch takes minutes, so a run whose user is done may stay warm for the next one; its workers end by
themselves when they have been idle for long. What ends a run for good: its last user says so, the interpreter exits
(also after an exception or Ctrl-C), or SIGTERM arrives.
"""

import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from .exchange import Clients
from .run import Run
from .settings import Settings
from .stack import read_outputs, typed_outputs

__all__ = ["Lease", "guard_exits", "lease"]

# Where boto3 finds AWS and who it says we are: a run must not be found again after these have changed.
_AWS_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID")

_lock = threading.RLock()
_runs: dict[object, Run] = {}
_users: dict[Run, int] = {}


class Lease:
    """The right to use a run; give it back with `release`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._held = True
        self._owner = os.getpid()

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that has the run."""
        return os.getpid() != self._owner

    def release(self, *, keep_warm: bool = False) -> None:
        """Give the run back; the last user's release ends it, unless it is to stay warm for the next one."""
        with _lock:
            if not self._held or self.inherited:
                return
            self._held = False
            left = _users.get(self.run, 1) - 1  # a run that has broken is forgotten already
            if self.run in _users:
                _users[self.run] = left
            if left > 0 or (keep_warm and self.run.open):
                return
            _forget(self.run)
        self.run.close()


def lease(settings: Settings, workers: int) -> Lease:
    """Return the right to use a run with at least `workers` workers: a live one if there is, else a new one.

    Raises:
        StackError: The stack cannot be used.
    """
    identity = (os.getpid(), settings, *map(os.environ.get, _AWS_VARIABLES))
    with _lock:
        run = _runs.get(identity)
        if run is not None and not run.open:
            _forget(run)
            run.close()
            run = None
        if run is None:
            stack = typed_outputs(read_outputs(settings), settings)
            guard_exits()  # before there is anything to take down
            run = Run(settings, stack, Clients(settings.region), workers).__enter__()
            _runs[identity] = run
            _users[run] = 0
        else:
            run.want_workers(workers)
        _users[run] += 1
        return Lease(run)


def close_all() -> None:
    """End every run of this process."""
    with _lock:
        runs = [run for identity, run in _runs.items() if isinstance(identity, tuple) and identity[0] == os.getpid()]
        _runs.clear()
        _users.clear()
    for run in runs:
        run.close()


def _forget(run: Run) -> None:
    for identity in [identity for identity, live in _runs.items() if live is run]:
        del _runs[identity]
    _users.pop(run, None)


def guard_exits() -> None:
    """See to it that runs end with the interpreter, and that a signal ends the interpreter in an orderly way."""
    atexit.unregister(close_all)
    atexit.register(close_all)
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):  # the latter when a terminal is closed; nohup ignores it
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit_in_order)


def _exit_in_order(signal_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal_number, signal.SIG_IGN)
    sys.exit(128 + signal_number)


def _after_fork() -> None:
    """A forked child has none of the parent's runs: it must not end them, and has no threads to use them."""
    global _lock  # noqa: PLW0603 - the parent's other threads may have held it
    _lock = threading.RLock()
    _runs.clear()
    _users.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
