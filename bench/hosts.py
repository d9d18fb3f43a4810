"""Compare with RIOS's own code: same machine, same embedded AWS, same raster, as many workers.

Each RIOS is a folder to import it from, for instance an unpacked release. Without one, its part is
left out::

    make bench-hosts ARGS="--rios14 rios-1.4.17 --rios2 rios-2.0.9"
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
from meter import LATENCY, Meter
from report import Line, table
from rich.console import Console

from rios_plugin_awsbatch.local import LocalAWS

HERE = Path(__file__).parent
IDEAL = 4.0  # seconds: 64 blocks of half a second, eight at a time


@contextlib.contextmanager
def embedded(*, latency, command=None):
    """Make this process, and those that it starts, use a new embedded AWS.

    Args:
        latency: Whether requests take their time.
        command: What workers run, if it is not our own worker.
    """
    with LocalAWS(8, middleware="meter:MeteringApp") as aws:
        Meter(aws.endpoint).set_latency(LATENCY if latency else {})
        if command:
            use_worker(command)
        yield


def use_worker(command):
    """Put RIOS's own worker program into the stack's job definition."""
    batch = boto3.client("batch")
    name = "riosJobDefinition"
    (known, *_) = batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    properties = {**known["containerProperties"], "command": command}
    batch.register_job_definition(
        jobDefinitionName=name, type="container", containerProperties=properties
    )


def measure(kind, job, workers, *, own=False, **variables):
    """Return what `apply_job.py` measured, with RIOS's own manager or ours."""
    path = os.pathsep.join(
        [str(HERE / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    environment = {
        **os.environ,
        "PATH": path,
        **({"RIOS_AWSBATCH_AUTOLOAD": "0"} if own else {}),
        **variables,
    }
    script = [sys.executable, HERE / "apply_job.py", kind, job, str(workers)]
    done = subprocess.run(script, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rios14(rios):
    """Yield the results for RIOS 1.4."""
    own_worker = [sys.executable, str(rios / "bin" / "rios_subproc_awsbatch.py")]
    for latency in (False, True):
        with embedded(latency=latency, command=own_worker):
            theirs = measure("AWSBatch", "ndvi", 4, own=True)["wall"]
        with embedded(latency=latency):
            ours = measure("AWSBatch", "ndvi", 4)["wall"]
        with embedded(latency=latency):
            all_sent = measure("AWSBatch", "ndvi", 4, RIOS_AWSBATCH_QUICK_BLOCKS="workers")["wall"]
        what = f"1.4: NDVI 4000 x 4000 x 4, numThreads 4{', with latency' if latency else ''}"
        yield Line(what, ours, "s", theirs / 3, note=f"RIOS's own takes {theirs:.1f} s")
        yield Line(f"{what}, RIOS_AWSBATCH_QUICK_BLOCKS=workers", all_sent, "s")
    with embedded(latency=True, command=own_worker):
        theirs = measure("AWSBatch", "sleep", 8, own=True)["after_start"]
    with embedded(latency=True):
        ours = measure("AWSBatch", "sleep", 8)["after_start"]
    what = "1.4: sleep 0.5 s x 64, numThreads 8, with latency, after start-up"
    yield Line(
        what, ours, "s", 1.25 * IDEAL, note=f"RIOS's own takes {theirs:.1f} s; ideal {IDEAL} s"
    )


def rios2(_rios):
    """Yield the results for RIOS 2."""
    theirs = measure("CW_SUBPROC", "sleep", 8)["wall"]
    with embedded(latency=True):
        ours = measure("CW_AWSBATCH", "sleep", 8)
    what = "2.0: sleep 0.5 s x 64, 8 workers, with latency, after start-up"
    note = f"ideal {IDEAL} s; in all {ours['wall']:.1f} s, CW_SUBPROC {theirs:.1f} s"
    yield Line(what, ours["after_start"], "s", 1.1 * IDEAL, note=note)
    yield Line("2.0: the last worker's first block, after the first worker's", ours["spread"], "s")
    theirs = measure("CW_SUBPROC", "ndvi", 4)["wall"]
    with embedded(latency=False):
        ours = measure("CW_AWSBATCH", "ndvi", 4)["wall"]
    yield Line(
        "2.0: NDVI 4000 x 4000 x 4, 4 workers",
        ours,
        "s",
        1.5 * theirs,
        note=f"CW_SUBPROC takes {theirs:.1f} s",
    )


def hook_cost():
    """Return what the import hook costs an interpreter that never imports RIOS."""
    trace = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True
    )
    lines = [
        line
        for line in trace.stderr.splitlines()
        if line.endswith("_rios_plugin_awsbatch_autoload")
    ]
    microseconds = int(lines[0].split("|")[1])
    return Line("import hook, at the start of an interpreter", microseconds / 1000, "ms", 1.0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rios14", type=Path, help="folder of RIOS 1.4")
    parser.add_argument("--rios2", type=Path, help="folder of RIOS 2")
    arguments = parser.parse_args()
    lines = [hook_cost()]
    for compare, rios in ((rios14, arguments.rios14), (rios2, arguments.rios2)):
        if rios is not None:
            # For the script and, through the embedded AWS, its workers.
            os.environ["PYTHONPATH"] = str(rios.resolve())
            lines += compare(rios.resolve())
    Console(width=None if sys.stdout.isatty() else 160).print(table(lines))
    sys.exit(any(line.ok is False for line in lines))


if __name__ == "__main__":
    main()
