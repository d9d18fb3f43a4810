"""Peak memory of main with more and more blocks in flight, each measured in its own process.

As a program, ``memory.py submit|map NUMBER SIZE`` submits so many blocks of so many bytes, and
prints how many bytes of memory that took.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from blocks import mean, nap
from report import Line

from rios_plugin_awsbatch import BatchExecutor

MIB = 1024 * 1024
MEMORY_LIMIT = 64 * MIB
# What a dozen threads pickle, store, send and receive at one time, however many blocks wait.
WORKING_ROOM = 48 * MIB
BUFFERSIZE = 32


def peak_bytes():
    """Return this process's peak memory.

    ru_maxrss, which is all that macOS has, begins with the parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def blocks(number, size):
    """Make blocks one by one, so that each is in memory only as long as main needs it."""
    for value in range(number):
        yield np.full(size // 2, value % 60_000, np.uint16)


def measure(way, number, size):
    """Return how many bytes main needed in addition to those that it had before."""
    executor = BatchExecutor(2, memory_limit=MEMORY_LIMIT)
    executor.submit(nap, 0.0)
    before = peak_bytes()
    if way == "submit":
        futures = [executor.submit(mean, block) for block in blocks(number, size)]
        assert not any(future.done() for future in futures), "there should be no worker"
        executor.shutdown(cancel_futures=True)
    else:
        with executor:
            assert (
                len(list(executor.map(mean, blocks(number, size), buffersize=BUFFERSIZE))) == number
            )
    return peak_bytes() - before


def main_memory(bench):
    """Main's memory, with blocks that no worker takes, and in a map with a buffer."""
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
