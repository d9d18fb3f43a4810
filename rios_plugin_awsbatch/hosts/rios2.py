"""`AWSBatchComputeWorkerMgr`: RIOS 2's contract for compute workers, over a run.

RIOS finds it by its class attribute among the direct subclasses of
``rios.computemanager.ComputeWorkerManager``. `rios2_feed` draws the way of a block and the threads.
"""

import contextlib
import logging
import threading
from typing import Any

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.run.leases import Lease, guard_exits, lease

from .rios2_apply import Apply
from .rios2_params import extra_params

try:
    from rios.computemanager import ComputeWorkerManager
    from rios.rioserrors import TimeoutError as RiosTimeoutError

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
        """Release the workers, which stay warm for the next ``apply``; never raises."""
        try:
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


def _drain(buffer: Any) -> None:
    """Empty the buffer of RIOS's own readers: one that waits for room in it would never end."""
    buffer.popTimeout = 0.5
    with contextlib.suppress(RiosTimeoutError):
        while True:
            buffer.popNextBlock()
