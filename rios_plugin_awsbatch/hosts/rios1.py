"""`AWSBatchJobManager`: RIOS 1.4's contract for job managers, over a run.

RIOS finds it by its class attribute among the direct subclasses of
``rios.parallel.jobmanager.JobManager``. Without RIOS it derives from a base class with the same
contract. It has no threads of its own: RIOS calls it from one thread.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TYPE_CHECKING, Any

from rios_plugin_awsbatch.run.leases import Lease, lease
from rios_plugin_awsbatch.run.statistics import Statistics
from rios_plugin_awsbatch.run.tasks import TaskFuture
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.wire.messages import Payload

from .rios1_choice import RoundChoice
from .rios1_inputs import InputDescriptions
from .rios1_main import compute_here
from .rios1_otherargs import OtherargsWatch
from .rios1_remote import BlockFunction, block_name, split_job
from .rios_context import ApplyContext, log_withheld

__all__ = ["AWSBatchJobManager", "replace_rios_manager"]

log = logging.getLogger(__name__)


class _OwnJobManager:
    """The contract of RIOS 1.4's ``JobManager``, for hosts without RIOS."""

    jobMgrType: str | None = None

    def __init__(self, numSubJobs: int) -> None:
        self.numSubJobs = numSubJobs
        self.tempdir = "."

    def setTempdir(self, tempdir: str) -> None:
        """Set the folder for temporary files; this manager needs none."""
        self.tempdir = tempdir


if TYPE_CHECKING:
    _Base = _OwnJobManager
else:
    try:
        from rios.parallel.jobmanager import JobManager as _Base
    except ImportError:
        _Base = _OwnJobManager


class AWSBatchJobManager(_Base):
    """Computes blocks on AWS Batch workers: of each round all but the first, which main computes.

    If measurements show that main computes a whole round in less time than sending it takes, main
    computes it, each block on its own copy of everything, as in a worker, until blocks take longer
    again. The setting `quick_blocks` turns this off.

    Args:
        numSubJobs: How many blocks are computed at once; RIOS's numThreads. One fewer is the number
            of workers. They start with the first round, and the next manager of this process uses
            them too.

    Raises:
        ValueError: `numSubJobs` is not a whole number of at least 2.
        SettingsError: A setting in the environment cannot be used.
    """

    jobMgrType = "AWSBatch"

    def __init__(self, numSubJobs: int) -> None:
        whole = isinstance(numSubJobs, int) and not isinstance(numSubJobs, bool)
        if not whole or numSubJobs < 2:  # noqa: PLR2004 - see the message
            raise ValueError(
                f"numThreads is {numSubJobs!r}; for 'AWSBatch' it must be a whole number of at "
                "least 2: the main script computes one block of each round, and workers the others."
            )
        # Same as the base class does, which in RIOS 2.0 also prints that it is deprecated.
        self.numSubJobs = numSubJobs
        self.tempdir = "."
        self._settings = load(Settings)
        self._may_compute_rounds = self._settings.quick_blocks == "main"
        self._choice = RoundChoice()
        self._quick = 0  # blocks that main has computed instead of sending them
        self._lease: Lease | None = None
        self._context: ApplyContext | None = None  # of the `apply` that this manager is for
        self._inputs = InputDescriptions()
        self._otherargs = OtherargsWatch()
        self._statistics = Statistics()

    def runSubJobs(self, function: Callable[..., Any], fnInputs: Sequence[Any]) -> list[Any]:
        """Compute one block for each job info of `fnInputs`; return the outputs in their order.

        Raises:
            Exception: What `function` raised for a block, with the worker's traceback as its cause.
            AWSBatchException: A block could not be computed.
        """
        others = len(fnInputs) - 1
        if others > 0 and self._may_compute_rounds and not self._choice.worth_sending(others):
            jobIDlist = self._compute_round(function, fnInputs)
            self.waitOnJobs(jobIDlist)
        else:
            begun = time.monotonic()
            jobIDlist = self.startAllJobs(function, fnInputs)
            self.waitOnJobs(jobIDlist)
            if others > 0:
                self._choice.note_round(time.monotonic() - begun)
        return self.gatherAllOutputs(jobIDlist)

    def startAllJobs(self, function: Callable[..., Any], jobInputs: Sequence[Any]) -> list[Any]:
        """Send all but the first of `jobInputs` to workers and compute the first here.

        Returns:
            The outputs of the first, then the futures of the others.
        """
        if not jobInputs:
            return []
        futures = self._send(function, jobInputs[1:], watching=True)
        try:
            return [self._compute(function, jobInputs[0], copied=False), *futures]
        except BaseException:
            _cancel(futures)
            raise

    def startOneJob(self, userFunc: Callable[..., Any], jobInfo: Any) -> "Future[Any]":
        """Send one block to the workers; return the future of its outputs.

        Raises:
            PicklingError: The function or its inputs cannot be pickled.
            StackError: The stack cannot be used.
        """
        (future,) = self._send(userFunc, [jobInfo], watching=False)
        return future

    def waitOnJobs(self, jobIDlist: Sequence[Any]) -> None:
        """Wait until all blocks of a round have come back, or one has failed."""
        futures = _futures(jobIDlist)
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:  # Ctrl-C: RIOS does not come back for them
            _cancel(futures)
            raise

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
        results = [job.result() if isinstance(job, Future) else job for job in jobIDlist]
        return [self._otherargs.outputs_of(result) for result in results]

    def finalise(self) -> None:
        """Release the workers: the next manager may use them, and they end with this process."""
        self._otherargs.close()
        if self._lease is not None:
            run = self._lease.run
            self._statistics = run.statistics()
            log.info("run=%s quick blocks computed by main: %d", run.run_id, self._quick)
            self._lease.release(keep_warm=True)
            self._lease = None

    def statistics(self) -> Statistics:
        """Return what the run has done so far."""
        return self._lease.run.statistics() if self._lease else self._statistics

    def _compute_round(self, function: Callable[..., Any], jobInputs: Sequence[Any]) -> list[Any]:
        """Same as `startAllJobs`, but compute blocks here for as long as they are quick.

        The first block comes last: it may change the script's own otherargs, and the other blocks
        must see them as they were before the round.
        """
        if not self._quick:
            log.info("main computes rounds of blocks that take less time than sending them")
        first, *rest = jobInputs
        outputs: list[Any] = []
        while rest and not self._choice.worth_sending(len(rest)):
            outputs.append(self._compute(function, rest.pop(0), copied=True))
        self._quick += len(outputs)
        if rest:
            self._choice.relearn()
        output, *futures = self.startAllJobs(function, [first, *rest])
        return [output, *outputs, *futures]

    def _compute(self, function: Callable[..., Any], jobInfo: Any, *, copied: bool) -> Any:
        run = self._lease.run.run_id if self._lease else ""
        inputs = self._inputs.of(jobInfo) if copied else {}
        block_function = BlockFunction(function, inputs=inputs)
        watched = copied and self._otherargs.by_workers
        output, record = compute_here(block_function, jobInfo, run, copied=copied, watched=watched)
        self._choice.note_block(record)
        return output

    def _send(
        self, function: Callable[..., Any], jobInputs: Sequence[Any], *, watching: bool
    ) -> "list[Future[Any]]":
        """Send blocks to the workers; what they have in common is pickled once.

        If `watching`, the results are for the `OtherargsWatch`.
        """
        if not jobInputs:
            return []
        if self._lease is None:
            self._lease = lease(self._settings, self.numSubJobs - 1)
        run = self._lease.run
        inputs = self._inputs.of(jobInputs[0])  # those of one `apply` are the same for all blocks
        block_function = run.share(
            BlockFunction(function, self._current_context(), inputs), "Function"
        )
        common: dict[int, Payload] = {}  # by the identity of the otherargs
        futures: list[Future[Any]] = []
        try:
            for jobInfo in jobInputs:
                name = block_name(jobInfo)
                task, otherargs = split_job(jobInfo.prepareForPickling())
                if otherargs is not None and id(otherargs) not in common:
                    shared = run.share(((otherargs,), {}), f"The shared arguments of {name}")
                    self._otherargs.sent(otherargs, shared.mac, shared.size)
                    common[id(otherargs)] = shared
                watched = {"watched": True} if watching and self._otherargs.by_workers else {}
                payload = common.get(id(otherargs))
                futures.append(
                    run.submit(block_function, (task,), watched, name=name, shared=payload)
                )
        except BaseException:
            _cancel(futures)
            raise
        return futures

    def _current_context(self) -> ApplyContext:
        """Return the context of this ``apply``, with the state of main as it is now."""
        if self._context is None:
            self._context = ApplyContext()
            log_withheld(self._context.state)
        self._context = self._context.updated()
        return self._context


def replace_rios_manager(module: Any) -> None:
    """Put `AWSBatchJobManager` in the place of RIOS 1.4's own manager.

    RIOS takes the last subclass that has the type asked for. A script that imports
    ``rios.parallel.aws.batch`` defines RIOS's own manager after ours, which would then win.

    Args:
        module: ``rios.parallel.aws.batch``.
    """
    if module.AWSBatchJobManager is not AWSBatchJobManager:
        module.AWSBatchJobManager.jobMgrType = "AWSBatch of RIOS itself"
        module.AWSBatchJobManager = AWSBatchJobManager


def _futures(jobs: Sequence[Any]) -> "list[Future[Any]]":
    return [job for job in jobs if isinstance(job, Future)]


def _cancel(futures: Sequence["Future[Any]"]) -> None:
    """Have nobody compute what has not been begun, and wait for nothing."""
    for future in futures:
        if isinstance(future, TaskFuture):
            future.give_up()
