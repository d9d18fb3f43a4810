"""`AWSBatchComputeWorkerMgr`: RIOS 2's contract for compute workers, over a run.

RIOS finds it by its class attribute, among the direct subclasses of ``rios.computemanager.ComputeWorkerManager``.

::

    reader threads                          run                         collector thread
    read what only main can read,   --->    workers compute,    --->    outBlockBuffer, which RIOS's
    a few blocks at a time                  and read the rest           main thread writes from
"""

import contextlib
import functools
import itertools
import logging
import math
import queue
import threading
from concurrent.futures import Future
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rios_plugin_awsbatch.errors import AWSBatchException, SettingsError
from rios_plugin_awsbatch.run.leases import Lease, guard_exits, lease
from rios_plugin_awsbatch.settings import Settings, load

try:
    from rios.computemanager import ComputeWorkerManager
    from rios.imagereader import readBlockAllFiles
    from rios.rioserrors import TimeoutError  # noqa: A004 - the one that RIOS raises
    from rios.structures import FilenameAssociations, RasterizationMgr, Timers, WorkerErrorRecord

    from .rios2_remote import BlockComputer, Computed
except ImportError as error:
    raise AWSBatchException(
        f"CW_AWSBATCH needs RIOS 2.0 or later, which cannot be imported here: {error}."
    ) from error

__all__ = ["AWSBatchComputeWorkerMgr", "ExtraParams"]

log = logging.getLogger(__name__)

TASK_SECONDS = 0.4  # so long a task should take, where one block takes less
TASKS_PER_WORKER = 4  # in flight, so that no worker waits for main
MOST_BLOCKS, MOST_BYTES = 32, 8 * 1024 * 1024  # of one task
LAST_TASKS = 3  # per worker, which keep all of them busy until the end
REMOTE = ("/vsis3/", "/vsicurl/", "/vsigs/", "/vsiaz/", "s3://", "http://", "https://")


class ExtraParams(BaseModel):
    """What ``ConcurrencyStyle(computeWorkerExtraParams={...})`` may say; an unknown key is an error.

    Attributes:
        read: Who reads the inputs: ``workers`` or ``main``; with ``auto``, workers read what they can open wherever
            they run (``/vsis3/``, ``s3://``, ``/vsicurl/``, http), and main the rest.
        blocks_per_task: How many blocks make one task; found from measured times, if not given.
        stack, region, vcpus, memory, job_queue, job_definition, startup_timeout, idle_timeout, visibility_timeout,
            max_attempts: The settings of these names; those of the environment, if not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: Literal["auto", "main", "workers"] = "auto"
    blocks_per_task: int | None = Field(None, ge=1)
    stack: str | None = None
    region: str | None = None
    vcpus: float | None = None
    memory: int | None = None
    job_queue: str | None = None
    job_definition: str | None = None
    startup_timeout: float | None = None
    idle_timeout: float | None = None
    visibility_timeout: int | None = None
    max_attempts: int | None = None

    def settings(self) -> Settings:
        """Return the settings that result from these and the environment."""
        given = self.model_dump(exclude={"read", "blocks_per_task"}, exclude_none=True)
        return load(Settings, **given)


class AWSBatchComputeWorkerMgr(ComputeWorkerManager):  # type: ignore[misc]  # RIOS ships no types
    """Has blocks computed by AWS Batch workers, each by whoever is free."""

    computeWorkerKind = "CW_AWSBATCH"
    # RIOS then starts no readers of its own; what main has to read, this manager reads.
    computeWorkersRead_default = True

    def __init__(self) -> None:
        guard_exits()  # before RIOS puts a handler of its own in the place of ours, for the time of an `apply`
        self.outObjList: list[Any] = []
        self._lease: Lease | None = None
        self._feed: _Feed | None = None
        self._unused: Any = None

    def startWorkers(self, **given: Any) -> None:
        """Start computing; the keywords are RIOS's, of whichever version.

        Raises:
            AWSBatchException: The stack or a parameter cannot be used.
        """
        self._unused = given["inBlockBuffer"]
        params = _extra_params(
            getattr(given["controls"].concurrency, "computeWorkerExtraParams", None)
        )
        self._lease = lease(params.settings(), given["numWorkers"])
        self._feed = _Feed(self._lease, params, given)
        self._feed.start()

    def shutdown(self) -> None:
        """End the use of the workers, which stay warm for the next ``apply``; never raises."""
        try:
            if self._feed is not None:
                self.outObjList = self._feed.stop()
            if self._lease is not None:
                self._lease.release(keep_warm=True)
        except Exception:
            # It would hide the error that RIOS is about to report.
            log.exception("the compute workers could not be shut down in order")
        if self._unused is not None:
            threading.Thread(
                target=_empty, args=(self._unused,), name="rios_empty", daemon=True
            ).start()


class _Feed:
    """One ``apply`` on its way through the workers."""

    def __init__(self, held: Lease, params: ExtraParams, given: dict[str, Any]) -> None:
        self._run = held.run
        self._params = params
        self._workers: int = given["numWorkers"]
        self._out = given["outBlockBuffer"]
        self._in = given["inBlockBuffer"]
        self._errors: queue.Queue[Any] = given["exceptionQue"]
        self._otherargs = given["otherArgs"]
        self._all_info = given["allInfo"]
        self._workinggrid = given["workinggrid"]
        self._controls = given["controls"]
        self._tmpfiles = given["tmpfileMgr"]
        self._rasterized = RasterizationMgr()
        self._local, remote = _split(given["infiles"], params.read, shipped=self._in is not None)
        computer = BlockComputer(
            given["userFunction"],
            given["infiles"],
            remote,
            self._controls,
            self._workinggrid,
            self._all_info,
        )
        # As they are now: what the script does to them afterwards is not for this `apply`.
        self._function = self._run.share(computer, "Function")
        self._shared = (
            None
            if self._otherargs is None
            else self._run.share(((self._otherargs,), {}), "otherArgs")
        )
        self._blocks = iter(given["blockList"])
        self._left = len(given["blockList"])
        self._lock = threading.Lock()
        self._in_flight: set[Future[Any]] = set()
        self._room = threading.BoundedSemaphore(TASKS_PER_WORKER * self._workers)
        self._done: queue.SimpleQueue[tuple[list[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._typical: float | None = None  # seconds for a block
        self._block_bytes = 0
        self._stopped = False
        self._timings = Timers()
        self._collected: list[Any] = [self._timings]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        # Blocks come as soon as workers do, which may take minutes; what goes wrong is reported from here.
        self._out.popTimeout = None
        if self._in is not None:
            self._in.popTimeout, self._in.insertTimeout = 0.5, None
        readers = (
            max(1, self._controls.concurrency.numReadWorkers)
            if vars(self._local) and self._in is None
            else 1
        )
        targets = [self._collect, *[self._read_and_submit] * readers]
        self._threads = [
            threading.Thread(target=target, name=f"rios{target.__name__}", daemon=True)
            for target in targets
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Any]:
        """Stop, and return the timers and otherArgs of all tasks."""
        self._stopped = True
        self._done.put(None)
        for thread in self._threads:
            thread.join(timeout=5)
        with self._lock:
            left = list(self._in_flight)  # some, where an error has ended it
        for future in left:
            future.cancel()
        return self._collected

    # --- reader threads

    def _read_and_submit(self) -> None:
        opened: dict[Any, Any] = {}
        try:
            while blocks := self._next_blocks():
                while not self._room.acquire(timeout=0.2):
                    if self._stopped:
                        return
                task = [self._inputs(block, opened) for block in blocks]
                self._block_bytes = max(self._block_bytes, _size(task[0][1]))
                read = [block for block, _ in task]
                name = _name(read, self._controls)
                future = self._run.submit(self._function, (task,), name=name, shared=self._shared)
                with self._lock:
                    self._in_flight.add(future)
                future.add_done_callback(functools.partial(self._put, read))
        except Exception as error:  # noqa: BLE001 - RIOS reports it
            self._fail(error, "read")

    def _next_blocks(self) -> list[Any]:
        """Return the blocks of the next task; none at the end."""
        with self._lock:
            if self._stopped:
                return []
            blocks = list(itertools.islice(self._blocks, self._blocks_per_task()))
            self._left -= len(blocks)
            return blocks

    def _blocks_per_task(self) -> int:
        if self._params.blocks_per_task is not None:
            return self._params.blocks_per_task
        if self._typical is None:
            return 1
        in_time = int(TASK_SECONDS / max(self._typical, 1e-6))
        until_the_end = math.ceil(self._left / (LAST_TASKS * self._workers))
        in_size = MOST_BYTES // max(self._block_bytes, 1)
        return max(1, min(in_time, in_size, until_the_end, MOST_BLOCKS))

    def _inputs(self, block: Any, opened: dict[Any, Any]) -> tuple[Any, Any]:
        """Return a block, and what main reads of it."""
        if self._in is not None:
            return self._pop_input()
        if not vars(self._local):
            return block, None
        with self._timings.interval("reading"):
            return block, readBlockAllFiles(
                self._local,
                self._workinggrid,
                block,
                self._all_info,
                opened,
                self._controls,
                self._tmpfiles,
                self._rasterized,
            )

    def _pop_input(self) -> tuple[Any, Any]:
        """Return a block that RIOS's own readers have read."""
        while True:
            try:
                return self._in.popNextBlock()  # type: ignore[no-any-return]  # RIOS ships no types
            except TimeoutError:
                if self._errors.qsize() > 0:  # a reader's
                    self._wake_main_thread()
                if self._stopped or self._errors.qsize() > 0:
                    raise

    # --- collector thread

    def _put(self, blocks: list[Any], future: "Future[Any]") -> None:
        with self._lock:
            self._in_flight.discard(future)
        self._done.put((blocks, future))

    def _collect(self) -> None:
        try:
            while (done := self._done.get()) is not None and not self._stopped:
                blocks, future = done
                if not future.cancelled():
                    self._take(blocks, future.result())
        except Exception as error:  # noqa: BLE001 - RIOS reports it
            self._fail(error, "compute")

    def _take(self, blocks: list[Any], computed: Computed) -> None:
        seconds = computed.seconds / len(blocks)
        self._typical = seconds if self._typical is None else 0.7 * self._typical + 0.3 * seconds
        if self._otherargs is not None:
            self._collected.append(
                self._otherargs if computed.otherargs is None else computed.otherargs
            )
        timings = Timers()
        timings.pairs = computed.timings
        self._collected.append(timings)
        for block, outputs in zip(blocks, computed.outputs, strict=True):
            with self._timings.interval("insert_computebuffer"):
                self._insert(block, outputs)
        self._room.release()

    def _insert(self, block: Any, outputs: Any) -> None:
        """Give a block to RIOS's main thread, when it has room for it."""
        while not self._out.bufferCount.acquire(timeout=0.2):
            if self._stopped:
                return
        self._out.bufferCount.release()  # this is the only thread that inserts
        self._out.insertCompleteBlock(block, outputs)

    # --- trouble

    def _fail(self, error: Exception, kind: str) -> None:
        """Report an error as RIOS reports those of its own workers, and wake its main thread."""
        if self._stopped:
            return
        self._stopped = True
        self._errors.put(WorkerErrorRecord(error, kind))
        self._wake_main_thread()

    def _wake_main_thread(self) -> None:
        """Let RIOS's main thread, which waits for a block, get one that is not there; then it looks for errors."""
        self._stopped = True
        self._out.popTimeout = 0
        self._out.nextBlockQ.put(object())


def _empty(buffer: Any) -> None:
    """Take what RIOS's own readers have read in vain: RIOS ends them now, and one that waits for room would not end."""
    buffer.popTimeout = 0.5
    with contextlib.suppress(TimeoutError):
        while True:
            buffer.popNextBlock()


def _extra_params(given: Any) -> ExtraParams:
    """Return computeWorkerExtraParams as a model; raises SettingsError with a sentence for each thing that is wrong."""
    if given is not None and not isinstance(given, dict):
        raise SettingsError(
            f"computeWorkerExtraParams is {given!r}; for CW_AWSBATCH it must be a dictionary."
        )
    try:
        return ExtraParams(**(given or {}))
    except ValidationError as error:
        known = ", ".join(ExtraParams.model_fields)
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))!r}: {one['msg']}" for one in error.errors()
        )
        raise SettingsError(
            f"computeWorkerExtraParams of CW_AWSBATCH: {wrong}. It may say: {known}."
        ) from None


def _split(infiles: Any, read: str, *, shipped: bool) -> tuple[Any, Any]:
    """Return the input files that main reads, and those that workers read."""
    main, workers = FilenameAssociations(), FilenameAssociations()
    for name, value in vars(infiles).items():
        files = value if isinstance(value, list) else [value]
        remote = read == "workers" or (
            read == "auto" and all(str(file).startswith(REMOTE) for file in files)
        )
        setattr(workers if remote and not shipped else main, name, value)
    return main, workers


def _name(blocks: list[Any], controls: Any) -> str:
    """Return the place of a task's first block, and how many more there are."""
    first = blocks[0]
    place = f"block {first.left // controls.windowxsize},{first.top // controls.windowysize}"
    return place if len(blocks) == 1 else f"{place} and {len(blocks) - 1} more"


def _size(inputs: Any) -> int:
    """Return the bytes of a block's arrays."""
    values = [] if inputs is None else vars(inputs).values()
    arrays = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return sum(getattr(array, "nbytes", 0) for array in arrays)
