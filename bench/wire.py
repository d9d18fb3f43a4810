"""Requests and bytes per block, for the job manager in RIOS 1.4's rounds."""

import os
import pickle
import time
import types

import numpy as np
from blocks import in_rounds, ndvi, scene_block, use_otherargs
from report import Line, per_block

THREADS = 4
BLOCKS = 64
MB = 1e6
# What is sent once, with a little more, is less than this; what each block repeats is far more.
ONCE = 1.1


def requests_per_block(bench):
    """Requests after all workers have answered, until the last one has deleted its messages."""
    yield _requests(bench, 176, 0.0, THREADS, limit=5)
    yield _requests(bench, 176, 0.5, THREADS, limit=5)
    yield _requests(bench, 256, 0.5, THREADS, limit=7)
    yield _requests(bench, 1024, 0.0, THREADS, limit=7)
    yield _requests(bench, 512, 0.0, 2 * THREADS, limit=7)
    yield _requests(bench, 512, 0.5, 2 * THREADS, limit=7)


def _requests(bench, size, seconds, threads, limit):
    case = (
        f"{size} x {size} x 4, {seconds or 'quick'}{' s' if seconds else ''}, numThreads {threads}"
    )
    otherargs = types.SimpleNamespace(seconds=seconds)
    begun = time.time()
    with bench.job_manager(threads) as manager:
        _warm(manager, threads, lambda: scene_block(0, size, otherargs))
        steady = time.time()
        jobs = (scene_block(number, size, otherargs) for number in range(BLOCKS))
        outputs = list(in_rounds(manager, ndvi, jobs, threads))
        bench.meter.settle()
        over = time.time()
    by_workers = sum(output.worker != os.getpid() for output in outputs)
    requests = bench.meter.requests(steady, over)
    bench.operations[case] = per_block(requests, by_workers)
    before, after = bench.meter.requests(begun, steady), bench.meter.requests(over)
    return Line(
        f"requests per block that a worker computes: {case}",
        len(requests) / by_workers,
        limit=limit,
        note=f"{by_workers} blocks; without {len(before)} to set up and {len(after)} to tear down",
    )


def _warm(manager, threads, make_job):
    """Compute blocks until all workers have answered."""
    seen = set()
    while len(seen) < threads:
        seen |= {
            output.worker
            for output in manager.runSubJobs(ndvi, [make_job() for _ in range(threads)])
        }


def shared_otherargs(bench):
    """Bytes of a job whose otherargs are far larger than its blocks."""
    array = types.SimpleNamespace(table=np.random.default_rng(1).random(20_000_000 // 8))
    plain = {
        "numbers": [number * 1.1 for number in range(1_000_000)],
        "names": [f"n{number}" for number in range(200_000)],
        "bytes": os.urandom(9_000_000),
    }
    yield from _otherargs("an array", array, bench)
    yield from _otherargs("plain Python", plain, bench)


def _otherargs(case, otherargs, bench):
    size = len(pickle.dumps(otherargs, protocol=5))
    begun = time.time()
    with bench.job_manager(THREADS) as manager:
        jobs = (scene_block(number, 16, otherargs) for number in range(32))
        outputs = list(in_rounds(manager, use_otherargs, jobs, THREADS))
    workers = len({output.worker for output in outputs} - {os.getpid()})
    requests = bench.meter.requests(begun)
    up, down = (
        sum(getattr(request, way) or 0 for request in requests) for way in ("received", "sent")
    )
    what = f"otherargs of {size / MB:.0f} MB ({case}) over 32 blocks:"
    yield Line(f"{what} bytes up, in otherargs", up / size, limit=ONCE, note="stored once")
    down_each = down / size / workers
    yield Line(
        f"{what} bytes down per worker, in otherargs",
        down_each,
        limit=ONCE,
        note=f"{workers} workers",
    )
