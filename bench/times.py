"""Times: the efficiency of eight workers, the delay of a task, the start of a worker."""

import os
import secrets
import statistics
import subprocess
import sys
import time
import types
from pathlib import Path

import boto3
from blocks import in_rounds, nap, ndvi, scene_block
from report import Line

from rios_plugin_awsbatch import BatchExecutor, getStackOutputs

WORKERS = 8
TASKS = 64
TASK_SECONDS = 0.5
IDEAL = TASKS * TASK_SECONDS / WORKERS
WARM_UP_SECONDS = 60
STARTS = 5


def efficiency(bench):
    """64 tasks of 0.5 s with 8 workers that are ready, by the executor and by the job manager."""
    for warm_up in (TASK_SECONDS, 0.01):
        with BatchExecutor(WORKERS) as executor:
            _warm(executor, WORKERS, warm_up)
            answers = [
                future.result()
                for future in [executor.submit(nap, TASK_SECONDS) for _ in range(TASKS)]
            ]
            seconds = time.time() - min(begun for _, begun in answers)
        yield Line(
            f"64 tasks of 0.5 s over 8 workers, BatchExecutor, after tasks of {warm_up} s",
            100 * IDEAL / seconds,
            "%",
            90,
            at_least=True,
            note=f"{seconds:.2f} s; ideal {IDEAL:.0f} s",
        )
    yield _job_manager(bench)


def _warm(executor, workers, seconds):
    """Call a function until so many workers have answered."""
    deadline = time.monotonic() + WARM_UP_SECONDS
    seen = set()
    while len(seen) < workers:
        seen |= {worker for worker, _ in executor.map(nap, [seconds] * 2 * workers)}
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"Only {len(seen)} of {workers} workers answered in {WARM_UP_SECONDS} s."
            )


def _job_manager(bench):
    otherargs = types.SimpleNamespace(seconds=TASK_SECONDS)
    with bench.job_manager(WORKERS) as manager:
        seen = set()
        while len(seen) < WORKERS:
            jobs = [scene_block(number, 16, otherargs) for number in range(WORKERS)]
            seen |= {output.worker for output in in_rounds(manager, ndvi, jobs, WORKERS)}
        begun = time.time()
        jobs = (scene_block(number, 16, otherargs) for number in range(TASKS))
        list(in_rounds(manager, ndvi, jobs, WORKERS))
        seconds = time.time() - begun
    note = f"{seconds:.2f} s; eight rounds, each waits for its last block"
    return Line(
        "64 tiny blocks of 0.5 s, job manager, numThreads 8", 100 * IDEAL / seconds, "%", note=note
    )


def pick_up(_bench):
    """From the call of submit to the first line of the function, in an idle worker."""
    waits = []
    with BatchExecutor(1) as executor:
        _warm(executor, 1, 0.0)
        for _ in range(20):
            time.sleep(0.3)
            sent = time.time()
            _, begun = executor.submit(nap, 0.0).result()
            waits.append(begun - sent)
    note = f"worst of {len(waits)}; median {statistics.median(waits):.3f} s"
    yield Line("an idle worker takes a new task after", max(waits), "s", 0.2, note=note)


def worker_start(bench):
    """From the start of a worker's process until its first ReceiveMessage arrives."""
    alone = [_start_workers(bench.meter, 1) for _ in range(STARTS)]
    note = f"median of {STARTS}; worst {max(alone):.2f} s"
    yield Line(
        "worker: process start to first receive", statistics.median(alone), "s", 1.0, note=note
    )
    together = _start_workers(bench.meter, WORKERS)
    yield Line(
        "8 workers at once: the last one's first receive",
        together,
        "s",
        note=f"on {os.cpu_count()} cores",
    )


def _start_workers(meter, count):
    """Start workers on new queues; return the seconds until the last one receives."""
    sqs = boto3.client("sqs")
    name = f"start-{secrets.token_hex(4)}"
    queues = [
        sqs.create_queue(QueueName=f"{name}-{role}")["QueueUrl"] for role in ("tasks", "results")
    ]
    given = {
        "BUCKET": getStackOutputs()["BatchBucket"],
        "IN_QUEUE": queues[0],
        "OUT_QUEUE": queues[1],
        "RUN": name,
        "RUN_KEY": secrets.token_hex(32),
        "LOG_LEVEL": "WARNING",
    }
    environment = {
        **os.environ,
        **{f"RIOS_AWSBATCH_{variable}": value for variable, value in given.items()},
    }
    command = Path(sys.executable).with_name("rios-awsbatch-worker")
    begun = time.time()
    processes = [subprocess.Popen([command], env=environment) for _ in range(count)]
    try:
        return _first_receives(meter, begun, count) - begun
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        for queue in queues:
            sqs.delete_queue(QueueUrl=queue)


def _first_receives(meter, begun, count):
    """Return when the last of `count` workers received for the first time.

    An idle worker's long poll takes 20 s, so the first receives are all from different workers.
    """
    deadline = time.time() + WARM_UP_SECONDS
    while time.time() < deadline:
        time.sleep(0.25)
        arrived = [
            request.at for request in meter.requests(begun) if "ReceiveMessage" in request.operation
        ]
        if len(arrived) >= count:
            return sorted(arrived)[count - 1]
    raise TimeoutError(f"{count} workers did not receive in {WARM_UP_SECONDS} s.")
