"""Reads blocks, in whichever thread or process."""

import threading

import numpy as np

from .structures import BlockAssociations, WorkerErrorRecord


def readBlockAllFiles(
    infiles, workinggrid, block, allInfo, opened, controls, tmpfileMgr, rasterizeMgr
):
    inputs = BlockAssociations(infiles)
    for name, _, path in infiles:
        if path not in opened:
            opened[path] = np.load(path, mmap_mode="r")
        place = np.s_[:, block.top : block.top + block.nrows, block.left : block.left + block.ncols]
        array = np.array(opened[path][place])
        if array.shape[1:] != (block.nrows, block.ncols):
            raise OSError(f"{path} ends before block {block}")
        vars(inputs)[name] = array
    return inputs


def start_reader(blocks, buffer, infiles, arguments, errors):
    """Read all blocks into a buffer, in a thread of the host's own."""

    def read():
        try:
            for block in blocks:
                workinggrid, all_info, controls = arguments
                inputs = readBlockAllFiles(
                    infiles, workinggrid, block, all_info, {}, controls, None, None
                )
                buffer.insertCompleteBlock(block, inputs)
        except Exception as error:  # noqa: BLE001 - it is reported
            errors.put(WorkerErrorRecord(error, "read"))

    threading.Thread(target=read, daemon=True).start()
