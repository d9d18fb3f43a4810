"""`AWSBatchJobManager`: RIOS 1.4's contract for job managers, over a run.

RIOS finds it by its class attribute, among the direct subclasses of ``rios.parallel.jobmanager.JobManager``. Without
RIOS it stands on a base class with the same contract.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TYPE_CHECKING, Any

from rios_plugin_awsbatch.run.leases import Lease, lease
from rios_plugin_awsbatch.run.statistics import Statistics
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.messages import Payload

from .rios1_pace import Pace
from .rios1_remote import BlockFunction, block_name, split_job

__all__ = ["AWSBatchJobManager"]

log = logging.getLogger(__name__)


class _OwnJobManager:
    """The contract of RIOS 1.4's ``JobManager``, for hosts without RIOS."""

    jobMgrType: str | None = None

    def __init__(self, numSubJobs: int) -> None:
        self.numSubJobs = numSubJobs
        self.tempdir = "."

    def setTempdir(self, tempdir: str) -> None:
        """Name the folder for temporary files; this manager needs none."""
        self.tempdir = tempdir


if TYPE_CHECKING:
    _Base = _OwnJobManager
else:
    try:
        from rios.parallel.jobmanager import JobManager as _Base
    except ImportError:
        _Base = _OwnJobManager


class AWSBatchJobManager(_Base):
    """Has blocks computed by AWS Batch workers: of each round the first in this process, the others by workers.

    Where blocks have turned out to be so quick that sending a round takes longer than computing all of it, this process
    computes them, each with its own copy of everything as a worker would, until they take longer again; or never, if
    the setting `quick_blocks` says so.

    Args:
        numSubJobs: How many blocks are computed at once: RIOS's numThreads. One fewer is the number of workers. They
            start with the first round, and stay for the next manager of this process.

    Raises:
        ValueError: `numSubJobs` is no whole number of at least 2.
        SettingsError: A setting in the environment cannot be used.
    """

    jobMgrType = "AWSBatch"

    def __init__(self, numSubJobs: int) -> None:
        if isinstance(numSubJobs, bool) or not isinstance(numSubJobs, int) or numSubJobs < 2:  # noqa: PLR2004 - see below
            raise ValueError(
                f"numThreads is {numSubJobs!r}; for 'AWSBatch' it must be a whole number of at least 2: one block of "
                "each round is computed by the main script, the others by workers."
            )
        super().__init__(numSubJobs)
        self._settings = load(Settings)
        self._may_be_quick = self._settings.quick_blocks == "main"
        self._pace = Pace()
        self._quick = 0
        self._lease: Lease | None = None
        self._statistics = Statistics()

    def runSubJobs(self, function: Callable[..., Any], fnInputs: Sequence[Any]) -> list[Any]:
        """Compute one block for each job info of `fnInputs`; return the outputs in their order.

        Raises:
            Exception: What `function` raised for a block, with the worker's traceback as its cause.
            AWSBatchException: A block could not be computed.
        """
        quick = (
            len(fnInputs) > 1
            and self._may_be_quick
            and not self._pace.worth_sending(len(fnInputs) - 1)
        )
        begun = time.monotonic()
        jobIDlist = (
            self._compute_quick(function, fnInputs)
            if quick
            else self.startAllJobs(function, fnInputs)
        )
        self.waitOnJobs(jobIDlist)
        if not quick and len(fnInputs) > 1:
            self._pace.sent(time.monotonic() - begun)
        return self.gatherAllOutputs(jobIDlist)

    def startAllJobs(self, function: Callable[..., Any], jobInputs: Sequence[Any]) -> list[Any]:
        """Send all but the first of `jobInputs` to workers and compute the first here.

        Returns:
            The first one's output, then the others' futures.
        """
        if not jobInputs:
            return []
        futures = self._send(function, jobInputs[1:])
        try:
            return [self._compute(function, lambda: (jobInputs[0],)), *futures]
        except BaseException:
            _cancel(futures)
            raise

    def _compute_quick(self, function: Callable[..., Any], jobInputs: Sequence[Any]) -> list[Any]:
        """Compute `jobInputs` here, but send what is left if they are not as quick as they were; return as above.

        The first one comes last: it may change the script's own otherargs, and the others have those of before.
        """
        first, *rest = jobInputs
        outputs: list[Any] = []
        while rest and not self._pace.worth_sending(len(rest)):
            outputs.append(self._compute(function, functools.partial(_own, rest.pop(0))))
        if not self._quick:
            log.info(
                "main computes rounds of blocks that are quicker than their way to the workers"
            )
        self._quick += len(outputs)
        if rest:
            self._pace.mistaken()
        output, *futures = self.startAllJobs(function, [first, *rest])
        return [output, *outputs, *futures]

    def _compute(
        self, function: Callable[..., Any], arguments: Callable[[], tuple[Any, ...]]
    ) -> Any:
        begun = time.monotonic()
        output = BlockFunction(function)(*arguments())
        self._pace.computed(time.monotonic() - begun)
        return output

    def startOneJob(self, userFunc: Callable[..., Any], jobInfo: Any) -> "Future[Any]":
        """Send one block to the workers; return the future of its output.

        Raises:
            PicklingError: The function or its inputs cannot be pickled.
            StackError: The stack cannot be used.
        """
        (future,) = self._send(userFunc, [jobInfo])
        return future

    def _send(self, function: Callable[..., Any], jobInputs: Sequence[Any]) -> "list[Future[Any]]":
        """Send blocks; what they have in common is pickled once."""
        if not jobInputs:
            return []
        if self._lease is None:
            self._lease = lease(self._settings, self.numSubJobs - 1)
        run = self._lease.run
        block_function = run.share(BlockFunction(function), "Function")
        common: dict[int, Payload] = {}  # by the identity of the otherargs
        futures: list[Future[Any]] = []
        try:
            for jobInfo in jobInputs:
                name = block_name(jobInfo)
                task, otherargs = split_job(jobInfo.prepareForPickling())
                if otherargs is not None and id(otherargs) not in common:
                    common[id(otherargs)] = run.share(
                        ((otherargs,), {}), f"The shared arguments of {name}"
                    )
                futures.append(
                    run.submit(block_function, (task,), name=name, shared=common.get(id(otherargs)))
                )
        except BaseException:
            _cancel(futures)
            raise
        return futures

    def waitOnJobs(self, jobIDlist: Sequence[Any]) -> None:
        """Wait until all blocks of a round are there, or one has failed."""
        wait(_futures(jobIDlist), return_when=FIRST_EXCEPTION)

    def gatherAllOutputs(self, jobIDlist: Sequence[Any]) -> list[Any]:
        """Return the outputs of a round in order; raise what one of its blocks raised."""
        futures = _futures(jobIDlist)
        failed = [
            future
            for future in futures
            if future.done() and not future.cancelled() and future.exception()
        ]
        if failed:
            _cancel(futures)
            failed[0].result()
        return [job.result() if isinstance(job, Future) else job for job in jobIDlist]

    def finalise(self) -> None:
        """End this manager's use of the workers; they stay warm for the next one, and end when this process ends."""
        if self._lease is not None:
            run = self._lease.run
            self._statistics = run.statistics()
            log.info(
                "run=%s blocks that main has computed because they were quick: %d",
                run.run_id,
                self._quick,
            )
            self._lease.release(keep_warm=True)
            self._lease = None

    def statistics(self) -> Statistics:
        """Return what the run has done so far."""
        return self._lease.run.statistics() if self._lease else self._statistics


def _own(job_info: Any) -> tuple[Any, ...]:
    """Return the arguments for a block's function, of its own as they would be in a worker."""
    task, otherargs = split_job(job_info.prepareForPickling())
    arguments = (task,) if otherargs is None else (otherargs, task)
    own: tuple[Any, ...] = payload.loads(
        payload.dumps(arguments, f"An argument of {block_name(task)}")
    )
    return own


def _futures(jobs: Sequence[Any]) -> "list[Future[Any]]":
    return [job for job in jobs if isinstance(job, Future)]


def _cancel(futures: Sequence["Future[Any]"]) -> None:
    for future in futures:
        future.cancel()
