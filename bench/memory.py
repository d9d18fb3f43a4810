"""Peak memory of main, for more and more blocks in flight; each measured in a process of its own.

As a program: ``memory.py submit|map NUMBER SIZE`` submits so many blocks and prints what memory that took.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from report import Line

from rios_plugin_awsbatch import BatchExecutor
from tests.support.blocks import mean, nap

MIB = 1024 * 1024
MEMORY_LIMIT = 64 * MIB
# What a dozen threads pickle, store, send and receive at the same moment, however many blocks wait.
WORKING_ROOM = 48 * MIB
BUFFERSIZE = 32


def peak_bytes():
    """Return this process's peak memory. Not ru_maxrss where that can be helped: it begins with the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def blocks(number, size):
    """Make blocks one by one, so that none is in memory for longer than main needs it."""
    for value in range(number):
        yield np.full(size // 2, value % 60_000, np.uint16)


def measure(way, number, size):
    """Return the bytes that main took beyond those it had before."""
    executor = BatchExecutor(2, memory_limit=MEMORY_LIMIT)
    executor.submit(nap, 0.0)
    before = peak_bytes()
    if way == "submit":
        futures = [executor.submit(mean, block) for block in blocks(number, size)]
        assert not any(future.done() for future in futures), "no worker was to be there"
        executor.shutdown(cancel_futures=True)
    else:
        with executor:
            assert (
                len(list(executor.map(mean, blocks(number, size), buffersize=BUFFERSIZE))) == number
            )
    return peak_bytes() - before


def main_memory(bench):
    """Beyond memory_limit, 64 MiB, and room to work: blocks that no worker takes, large and inline; then a map."""
    with bench.without_workers():
        yield _peaks("submit", 2 * MIB, "2 MiB blocks, all in flight, submit()", 64, 256, 1024)
        yield _peaks("submit", MIB // 2, "512 KiB blocks, all in flight, submit()", 256, 1024)
    yield _peaks(
        "map", 2 * MIB, f"2 MiB blocks, map(buffersize={BUFFERSIZE}), two workers", 64, 256
    )


def _peaks(way, size, what, *numbers):
    taken = [_in_a_process(way, number, size) / MIB for number in numbers]
    shown = ", ".join(f"{mib:.0f} for {number}" for mib, number in zip(taken, numbers, strict=True))
    limit = (MEMORY_LIMIT + WORKING_ROOM) / MIB
    return Line(f"main's memory: {what}", max(taken), "MiB", limit, note=f"MiB: {shown}")


def _in_a_process(way, number, size):
    command = [sys.executable, __file__, way, str(number), str(size)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


if __name__ == "__main__":
    print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
