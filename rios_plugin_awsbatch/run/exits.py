"""Every way out of the interpreter ends the runs that are alive in it."""

import atexit
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

__all__ = ["close_at_exit"]


def close_at_exit(close: Callable[[], None]) -> None:
    """Have `close` called when the interpreter ends, and let signals end it in an orderly way.

    Args:
        close: Called once, however often it is given.
    """
    atexit.unregister(close)
    atexit.register(close)
    if threading.current_thread() is not threading.main_thread():
        return
    # SIGHUP comes when a terminal is closed; nohup ignores it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit_in_order)


def _exit_in_order(signal_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal_number, signal.SIG_IGN)
    sys.exit(128 + signal_number)
