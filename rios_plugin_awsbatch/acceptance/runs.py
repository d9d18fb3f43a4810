"""Promises of this package's about runs, with the real image."""

import os
import signal
import subprocess
import sys
import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rios_plugin_awsbatch.aws.batch import ENDED
from rios_plugin_awsbatch.aws.names import queue_prefix, run_prefix
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.hosts.executor import BatchExecutor

from .records import Observed, Promise
from .site import JOB_SECONDS, Site

__all__ = ["PROMISES"]

_DOCUMENT: Final = "README.md, How a block travels"
_BLOCKS, _SIDE = 24, 256
# The worker's idle time-out, and as long again for Batch to see its end.
_IDLE_SECONDS: Final = 60.0
_BOUND_SECONDS: Final = 300.0
_MAIN: Final = """
import os, time
from rios_plugin_awsbatch import BatchExecutor

def job(_):
    return os.environ.get("AWS_BATCH_JOB_ID", "")

def busy(_):
    time.sleep(1)

executor = BatchExecutor(1)
print(executor.submit(job, None).result(), flush=True)
list(executor.map(busy, range(3600)))
"""


def _ndvi(number: int) -> npt.NDArray[np.float32]:
    """Compute a block that anybody can compute again."""
    values = np.random.default_rng(number).integers(1, 10_000, (2, _SIDE, _SIDE), dtype=np.uint16)
    red, infrared = values.astype(np.float32)
    index: npt.NDArray[np.float32] = (infrared - red) / (infrared + red)
    return index


def _job_of_worker(_number: int) -> str:
    return os.environ.get("AWS_BATCH_JOB_ID", "")


def _numbers(site: Site) -> Observed:
    begun = time.monotonic()
    with BatchExecutor(2, site.settings) as executor:
        computed = list(executor.map(_ndvi, range(_BLOCKS), timeout=JOB_SECONDS))
    used = 2 * (time.monotonic() - begun) * site.vcpus()
    same = sum(np.array_equal(block, _ndvi(number)) for number, block in enumerate(computed))
    return Observed(same == _BLOCKS, f"{same} of {_BLOCKS} blocks equal a serial run's", used)


def _nothing_left(site: Site) -> Observed:
    site.end_executor()  # they would share a run
    begun = time.monotonic()
    with BatchExecutor(1, site.settings) as executor:
        job_id = executor.submit(_job_of_worker, 1).result(JOB_SECONDS)
        run_id = site.described(job_id)["jobName"].removeprefix("rios-")
    site.ended(job_id)
    used = (time.monotonic() - begun) * site.vcpus()
    left = _left(site, run_id)
    return Observed(not left, f"left of run {run_id}: {left or 'nothing'}", used)


def _left(site: Site, run_id: str) -> list[str]:
    """Return what is left of a run; queues may be listed for a minute after they are deleted."""
    deadline = time.monotonic() + (5 if site.embedded else 70)
    while True:
        listed: Any = site.clients.s3.list_objects_v2(
            Bucket=site.stack.bucket, Prefix=run_prefix(run_id)
        )
        prefix = f"{queue_prefix(site.stack.name)}{run_id}"
        queues = site.clients.sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
        left = [*(item["Key"] for item in listed.get("Contents", [])), *queues]
        if not left or time.monotonic() >= deadline:
            return left
        site.pause(5)


def _killed(site: Site) -> Observed:
    """Kill a main script, and see when its worker ends."""
    command = [sys.executable, "-c", _MAIN]
    environment = {**os.environ, "RIOS_AWSBATCH_IDLE_TIMEOUT": f"{_IDLE_SECONDS:g}"}
    main = subprocess.Popen(  # noqa: S603 - our own script
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    site.later("end a main script", lambda: _kill(main))
    assert main.stdout is not None
    job_id = main.stdout.readline().strip()
    if not job_id:
        raise AWSBatchException("a main script in a process of its own got no worker")
    site.later(
        f"end job {job_id}",
        lambda: site.clients.batch.terminate_job(jobId=job_id, reason="Acceptance over"),
    )
    _kill(main)
    begun = time.monotonic()

    def look() -> Any:
        job = site.described(job_id)
        return job if job is None or job["status"] in ENDED else None

    site.until(look, _BOUND_SECONDS * 4, "the worker of a killed main to end")
    seconds = time.monotonic() - begun
    detail = f"the worker ended {seconds:.0f} s after its main was killed"
    return Observed(seconds < _BOUND_SECONDS, detail, seconds * site.vcpus())


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


PROMISES: Final = (
    Promise(
        "runs.numbers",
        "Workers compute the same numbers as this machine.",
        _DOCUMENT,
        _numbers,
        minutes=6,
        vcpu_seconds=120,
        where="anywhere",
    ),
    Promise(
        "runs.nothing-left",
        "A run leaves neither queues nor objects.",
        _DOCUMENT,
        _nothing_left,
        minutes=3,
        vcpu_seconds=60,
        where="anywhere",
    ),
    Promise(
        "runs.killed-main",
        "Workers of a main that was killed end within five minutes.",
        "docs/aws.md, What is billed",
        _killed,
        minutes=7,
        vcpu_seconds=360,
        where="aws",
    ),
)
