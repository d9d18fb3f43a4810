"""Every way out of the interpreter ends the runs that are alive in it.

An interpreter ends through `atexit`. A child of `multiprocessing` (and of `ProcessPoolExecutor`)
does not: it calls the finalizers of `multiprocessing.util`, and leaves by `os._exit`. A child of
Celery sends its signal `worker_process_shutdown`, and leaves likewise. A signal ends all of them in
the same way, if a handler turns it into `SystemExit`. Nothing is called in a process that is
killed, or calls `os._exit` itself: the next run sweeps what it has left.

In a child of `multiprocessing`, a thread more sees to it that the handler is called. Python calls
handlers between two bytecodes of the main thread. If a signal comes just before the main thread
waits for a semaphore, as the processes of an idle pool do, its handler is not called, and
`Pool.terminate` waits for ever::

    C handler --- signal's number ---> waker thread --- SIGURG ---> main thread: wait is interrupted
"""

import atexit
import contextlib
import multiprocessing.process
import multiprocessing.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, NoReturn

__all__ = ["close_at_exit", "signals_deferred", "signals_ignored"]

# SIGHUP comes when a terminal is closed; nohup ignores it.
_TERMINATION: Final = (signal.SIGTERM, signal.SIGHUP)
# Before `multiprocessing` ends its pools and waits for children: they may need our workers' places.
_PRIORITY: Final = 100

_WAKE_SECONDS: Final = (0.1, 0.9, 4.0)  # again, in case that the main thread is late
_NO_FD: Final = -1

# Two threads may add a finalizer each, and it does not matter: `close` may be called twice.
_finalizers: dict[Callable[[], None], multiprocessing.util.Finalize] = {}
_wakers: dict[int, int] = {}  # by process: where its signals are written; for the main thread only


def close_at_exit(close: Callable[[], None]) -> None:
    """Have `close` called when this process ends, and let signals end it in an orderly way.

    A forked child has to call this again.

    Args:
        close: May be called more than once.
    """
    atexit.unregister(close)
    atexit.register(close)
    if close in _finalizers:
        _finalizers[close].cancel()
    _finalizers[close] = multiprocessing.util.Finalize(None, close, exitpriority=_PRIORITY)
    if "celery.signals" in sys.modules:
        _close_with_celery(sys.modules["celery.signals"], close)
    if not _in_main_thread():
        return
    for number in _TERMINATION:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit_in_order)
    if multiprocessing.process.parent_process() is not None:
        _start_waker()


def _close_with_celery(signals: Any, close: Callable[[], None]) -> None:
    def receive(**_about_the_process: Any) -> None:
        close()

    # With the same id, it is connected once.
    signals.worker_process_shutdown.connect(receive, weak=False, dispatch_uid=repr(close))


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Let SIGTERM and SIGHUP wait until the end of the block."""
    arrived: list[int] = []
    try:
        with _signals_noted(arrived):
            yield
    finally:
        for number in dict.fromkeys(arrived):
            signal.raise_signal(number)


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore SIGTERM and SIGHUP in the block, as the process is ending already."""
    with _signals_noted([]):
        yield


@contextlib.contextmanager
def _signals_noted(arrived: list[int]) -> Iterator[None]:
    """Add signals to a list instead of handling them; only the main thread can do so."""
    if not _in_main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _TERMINATION}
    # None is a handler that was not installed by Python, and cannot be put back.
    noted = [n for n, handler in handlers.items() if handler not in (None, signal.SIG_IGN)]
    try:
        for number in noted:
            signal.signal(number, lambda number, _frame: arrived.append(number))
        yield
    finally:
        for number in noted:
            signal.signal(number, handlers[number])


def _start_waker() -> None:
    """Have the waker thread hear of signals, unless the script itself wants to."""
    if os.getpid() in _wakers or signal.getsignal(signal.SIGURG) not in (signal.SIG_DFL, _woken):
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if former not in (_NO_FD, *_wakers.values()):  # of the latter, this process may be a fork
        signal.set_wakeup_fd(former)
        os.close(reader)
        os.close(writer)
        return
    _wakers[os.getpid()] = writer
    signal.signal(signal.SIGURG, _woken)
    main = threading.main_thread().ident
    assert main is not None
    threading.Thread(target=_wake, args=(reader, main), name="waker", daemon=True).start()


def _woken(_signal_number: int, _frame: FrameType | None) -> None:
    """Do nothing: after this, Python calls the handlers of signals that came before."""


def _wake(reader: int, main_thread: int) -> None:
    """Interrupt what the main thread waits for whenever a signal has come."""
    while numbers := os.read(reader, 1):
        if numbers[0] in _TERMINATION:
            for seconds in _WAKE_SECONDS:
                time.sleep(seconds)
                signal.pthread_kill(main_thread, signal.SIGURG)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _exit_in_order(signal_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal_number, signal.SIG_IGN)
    sys.exit(128 + signal_number)
