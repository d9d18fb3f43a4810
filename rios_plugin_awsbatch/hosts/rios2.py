"""`AWSBatchComputeWorkerMgr`: RIOS 2's contract for compute workers, over a run.

RIOS finds it by its class attribute among the direct subclasses of
``rios.computemanager.ComputeWorkerManager``. `rios2_feed` draws the way of a block and the threads.
"""

import contextlib
import logging
import signal
import sys
import threading
from typing import Any

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.run.leases import Lease, guard_exits, lease

from .rios2_apply import Apply
from .rios2_params import extra_params

try:
    from rios.computemanager import ComputeWorkerManager
    from rios.rioserrors import TimeoutError as RiosTimeoutError
    from rios.rioserrors import WorkerExceptionError
    from rios.structures import WorkerErrorRecord

    from .rios2_feed import Feed
except ImportError as error:
    raise AWSBatchException(
        f"CW_AWSBATCH needs RIOS 2.0 or later, which cannot be imported here: {error}."
    ) from error

__all__ = ["AWSBatchComputeWorkerMgr"]

log = logging.getLogger(__name__)


class AWSBatchComputeWorkerMgr(ComputeWorkerManager):  # type: ignore[misc]  # RIOS ships no types
    """Computes blocks on AWS Batch workers, each on whichever worker is free.

    RIOS makes one for each ``apply``, and calls `startWorkers` and `shutdown` from one thread.
    """

    computeWorkerKind = "CW_AWSBATCH"
    # RIOS then starts no readers of its own: what main has to read, this manager reads.
    computeWorkersRead_default = True

    def __init__(self) -> None:
        guard_exits()  # before RIOS replaces our SIGTERM handler for the duration of an `apply`
        self._sigterm = signal.getsignal(signal.SIGTERM)
        self.outObjList: list[Any] = []
        self._lease: Lease | None = None
        self._feed: Feed | None = None
        self._inputs: Any = None

    def startWorkers(self, **given: Any) -> None:
        """Start computing.

        Args:
            given: What this version of RIOS hands over; see `Apply`.

        Raises:
            AWSBatchException: The stack or a parameter cannot be used.
        """
        self._inputs = given.get("inBlockBuffer")
        apply = Apply.from_keywords(given)
        params = extra_params(apply.extra_params)
        self._lease = lease(params.settings(), apply.workers)
        self._feed = Feed(self._lease.run, params, apply)
        self._feed.start()

    def shutdown(self) -> None:
        """Release the workers, which stay warm for the next ``apply``; never raises.

        If ``apply`` is failing, do what RIOS leaves undone: its error gets the real one as its
        cause, and its SIGTERM handler is replaced by the former one.
        """
        error = sys.exc_info()[1]  # RIOS calls this in its `finally`
        try:
            if error is not None:
                _add_cause(error)
                self._restore_sigterm()
            if self._feed is not None:
                self.outObjList = self._feed.stop()
            if self._lease is not None:
                self._lease.release(keep_warm=True)
        except Exception:
            # Raised, it would hide the error that RIOS is about to report.
            log.exception("the compute workers could not be shut down properly")
        if self._inputs is not None:
            threading.Thread(
                target=_drain, args=(self._inputs,), name="rios_drain", daemon=True
            ).start()

    def _restore_sigterm(self) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and self._sigterm is not None:
            signal.signal(signal.SIGTERM, self._sigterm)


def _add_cause(error: BaseException) -> None:
    """Give RIOS's error the error of the worker, which it only prints, as its cause.

    RIOS has taken the record out of its queue; it is still a variable of the function that raises.
    """
    trace = error.__traceback__
    if not isinstance(error, WorkerExceptionError) or error.__cause__ or trace is None:
        return
    for value in list(trace.tb_frame.f_locals.values()):
        if isinstance(value, WorkerErrorRecord):
            error.__cause__ = value.exc


def _drain(buffer: Any) -> None:
    """Empty the buffer of RIOS's own readers: one that waits for room in it would never end."""
    buffer.popTimeout = 0.5
    with contextlib.suppress(RiosTimeoutError):
        while True:
            buffer.popNextBlock()
