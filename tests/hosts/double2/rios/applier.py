"""The driver: has blocks read and computed, and writes them as they come."""

import queue
import sys
from pathlib import Path

import numpy as np

from . import rioserrors
from .computemanager import getComputeWorkerManager
from .imagereader import readBlockAllFiles, start_reader
from .readerinfo import makeReaderInfo
from .structures import (
    CW_NONE,
    ApplierBlockDefn,
    ApplierReturn,
    BlockAssociations,
    BlockBuffer,
    ConcurrencyStyle,
    FilenameAssociations,
    OtherInputs,
    TempfileManager,
    Timers,
    WorkerErrorRecord,
)

__all__ = ["ApplierControls", "FilenameAssociations", "OtherInputs", "apply"]


class ApplierControls:
    def __init__(self):
        self.windowxsize = self.windowysize = 256
        self.concurrency = ConcurrencyStyle()
        self.optionsByImage = {}
        self.progress = self.loggingstream = self.callBeforeClose = self.jobName = None
        self.tempdir = "."

    def setWindowXsize(self, size):
        self.windowxsize = size

    def setWindowYsize(self, size):
        self.windowysize = size

    def setTempdir(self, tempdir):
        self.tempdir = tempdir

    def setConcurrencyStyle(self, style):
        self.concurrency = style

    def setOutputDriverName(self, name):
        """Have only one format."""

    def setCreationOptions(self, options):
        """Have no options."""


def apply(userFunction, infiles, outfiles, otherArgs=None, controls=None):
    sizes = {name: np.load(path, mmap_mode="r").shape for name, _, path in infiles}
    _, height, width = next(iter(sizes.values()))
    columns, rows = controls.windowxsize, controls.windowysize
    blocks = [
        ApplierBlockDefn(top, left, min(rows, height - top), min(columns, width - left))
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]
    returned = ApplierReturn()
    returned.timings = Timers()
    writer = _Writer(outfiles, (height, width))
    if controls.concurrency.computeWorkerKind == CW_NONE:
        opened = {}
        for block in blocks:
            inputs = readBlockAllFiles(infiles, None, block, sizes, opened, controls, None, None)
            outputs = BlockAssociations()
            info = makeReaderInfo(None, block, controls, infiles, inputs, sizes)
            userFunction(*[info, inputs, outputs, *([] if otherArgs is None else [otherArgs])])
            writer.write(block, outputs)
        returned.otherArgsList = [otherArgs]
    else:
        manager = _compute_in_workers(
            userFunction, infiles, outfiles, otherArgs, controls, sizes, blocks, writer
        )
        for one in manager.outObjList:
            if isinstance(one, Timers):
                returned.timings.merge(one)
        returned.otherArgsList = [one for one in manager.outObjList if isinstance(one, OtherInputs)]
    writer.close()
    return returned


def _compute_in_workers(function, infiles, outfiles, other, controls, sizes, blocks, writer):
    style = controls.concurrency
    manager = getComputeWorkerManager(style.computeWorkerKind)
    manager.setJobName(controls.jobName)
    if style.computeWorkersRead is None:
        style.computeWorkersRead = manager.computeWorkersRead_default
    errors = queue.Queue()
    finished = BlockBuffer(2 * style.numComputeWorkers, 10, 20)
    unread = None
    if not style.computeWorkersRead:
        unread = BlockBuffer(2 * style.numReadWorkers, 10, 10)
        start_reader(blocks, unread, infiles, (None, sizes, controls), errors)
    try:
        manager.startWorkers(
            numWorkers=style.numComputeWorkers,
            userFunction=function,
            infiles=infiles,
            outfiles=outfiles,
            otherArgs=other,
            controls=controls,
            blockList=blocks,
            inBlockBuffer=unread,
            outBlockBuffer=finished,
            workinggrid=None,
            allInfo=sizes,
            tmpfileMgr=TempfileManager(),
            exceptionQue=errors,
            singleBlockComputeWorkers=False,
            haveSharedTemp=True,
        )
        for _ in blocks:
            try:
                writer.write(*finished.popNextBlock())
            except Exception as error:  # noqa: BLE001 - it is reported
                errors.put(WorkerErrorRecord(error, "main"))
            if not errors.empty():
                print(errors.get(), file=sys.stderr)
                raise rioserrors.WorkerExceptionError("see above")
    finally:
        manager.shutdown()
    return manager


class _Writer:
    def __init__(self, outfiles, size):
        self.outfiles, self.size, self.written = outfiles, size, {}

    def write(self, block, outputs):
        for name, _, _ in self.outfiles:
            array = getattr(outputs, name)
            whole = self.written.setdefault(name, np.zeros((len(array), *self.size), array.dtype))
            whole[:, block.top : block.top + block.nrows, block.left : block.left + block.ncols] = (
                array
            )

    def close(self):
        for name, _, path in self.outfiles:
            with Path(path).open("wb") as file:
                np.save(file, self.written[name])
