"""What passes between the driver, its readers and its compute workers."""

import contextlib
import dataclasses
import queue
import tempfile
import threading
import time
import traceback

from . import rioserrors

CW_NONE, CW_AWSBATCH = "CW_NONE", "CW_AWSBATCH"


@dataclasses.dataclass
class ConcurrencyStyle:
    numReadWorkers: int = 0
    numComputeWorkers: int = 0
    computeWorkerKind: str = CW_NONE
    computeWorkerExtraParams: dict | None = None
    computeWorkersRead: bool | None = None


class FilenameAssociations:
    def __iter__(self):
        return ((name, None, path) for name, path in list(vars(self).items()))


class BlockAssociations:
    def __init__(self, names=None):
        vars(self).update(dict.fromkeys(vars(names) if names is not None else ()))


class OtherInputs:
    pass


@dataclasses.dataclass(frozen=True, order=True)
class ApplierBlockDefn:
    top: int
    left: int
    nrows: int
    ncols: int


class BlockBuffer:
    """A bounded buffer of blocks; who takes one waits no longer than popTimeout."""

    def __init__(self, size, insertTimeout, popTimeout):
        self.insertTimeout, self.popTimeout = insertTimeout, popTimeout
        self.bufferCount = threading.BoundedSemaphore(size)
        self.nextBlockQ = queue.Queue()
        self.buffer = {}

    def insertCompleteBlock(self, block, data):
        if not self.bufferCount.acquire(timeout=self.insertTimeout):
            raise rioserrors.TimeoutError("no room")
        self.buffer[block] = data
        self.nextBlockQ.put(block)

    def popNextBlock(self):
        try:
            block = self.nextBlockQ.get(timeout=self.popTimeout)
        except queue.Empty:
            raise rioserrors.TimeoutError("no block") from None
        data = self.buffer.pop(block, None)
        if data is not None:
            self.bufferCount.release()
        return block, data


class Timers:
    def __init__(self):
        self.pairs = {}
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def interval(self, name):
        begun = time.time()
        yield
        with self.lock:
            self.pairs.setdefault(name, []).append((begun, time.time()))

    def getDurationsForName(self, name):
        return [end - begin for begin, end in self.pairs[name]] if name in self.pairs else None

    def merge(self, other):
        for name, pairs in other.pairs.items():
            self.pairs.setdefault(name, []).extend(pairs)

    def __getstate__(self):
        return {"pairs": self.pairs}

    def __setstate__(self, state):
        self.__init__()
        self.pairs = state["pairs"]


class RasterizationMgr:
    pass


class TempfileManager:
    def __init__(self, tempdir=None):
        self.folder = tempfile.TemporaryDirectory(dir=tempdir)


class WorkerErrorRecord:
    def __init__(self, exc, workerType, workerID=None):
        self.exc, self.workerType, self.workerID = exc, workerType, workerID
        self.text = "".join(traceback.format_exception(exc))

    def __str__(self):
        return f"Error in {self.workerType} worker\n{self.text}"


class ApplierReturn:
    timings = None
    otherArgsList = None
