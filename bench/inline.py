"""CPU seconds of main per task, with payloads in messages and through S3: where they cross.

Run by hand: ``python bench/inline.py``. CPU time of this process alone, so that other load on the
machine, workers and the embedded AWS do not count.
"""

import os
import statistics
import time

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.local import LocalAWS

KIB = 1024
SIZES = [size * KIB for size in (64, 128, 192, 256, 384, 512, 720)]
TASKS, ROUNDS = 24, 3
IN_MESSAGES, THROUGH_S3 = 760 * KIB, 0
# USD in us-east-1 in 2026: a request of SQS's per 64 KiB; a PUT and a GET of S3's.
SQS, PUT, GET = 0.40e-6, 5.0e-6, 0.4e-6


def returned(data):
    """Return what was sent."""
    return data


def cpu_per_task(executor, data):
    """Return the CPU milliseconds of main for a task that sends and receives `data`."""
    begun = time.process_time()
    for _ in executor.map(returned, [data] * TASKS):
        pass
    return 1000 * (time.process_time() - begun) / TASKS


def dollars_per_million(size, limit):
    """Return what SQS and S3 cost for a million tasks that send and receive so many bytes."""
    if size <= limit:
        chunks = -(-(size * 4 // 3 + 2 * KIB) // (64 * KIB))
        requests = 2 * (2 * chunks + 0.1)  # a send and a receive each way; deleted in tens
        return 1e6 * requests * SQS
    return 1e6 * (2 * (PUT + GET) + 2 * 3 * 0.1 * SQS)


def main():
    """Print a table."""
    print("KiB each way   CPU ms inline   CPU ms S3   $ per million inline   $ per million S3")
    with LocalAWS(workers=2):
        measured = {}
        for _ in range(ROUNDS):  # both kinds in turn: what else the machine does changes slowly
            for limit in (IN_MESSAGES, THROUGH_S3):
                with BatchExecutor(2, inline_limit=limit) as executor:
                    list(executor.map(returned, [b""] * 4))
                    for size in SIZES:
                        value = cpu_per_task(executor, os.urandom(size))
                        measured.setdefault((size, limit), []).append(value)
    for size in SIZES:
        inline, stored = (
            statistics.median(measured[size, limit]) for limit in (IN_MESSAGES, THROUGH_S3)
        )
        costs = [dollars_per_million(size, limit) for limit in (IN_MESSAGES, THROUGH_S3)]
        cpu = f"{size // KIB:12}   {inline:13.1f}   {stored:9.1f}"
        print(f"{cpu}   {costs[0]:20.2f}   {costs[1]:16.2f}")


if __name__ == "__main__":
    main()
