"""Measure targets on the embedded AWS, with the latency of a real one: ``make bench``.

Functions sleep, so that two cores are enough for many workers. The exit code is 1 if a target is
missed.
"""

import argparse
import contextlib
import os
import sys
import time

import memory
import times
import wire
from meter import LATENCY, Meter
from report import operations_table, table, write_json
from rich.console import Console

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run.leases import close_all

SCENARIOS = {
    "requests": wire.requests_per_block,
    "otherargs": wire.shared_otherargs,
    "efficiency": times.efficiency,
    "pick-up": times.pick_up,
    "start": times.worker_start,
    "memory": memory.main_memory,
}


class Bench:
    """What scenarios use.

    Args:
        meter: The meter of the embedded AWS.

    Attributes:
        meter: As given.
        operations: Requests per block by operation, which scenarios add by the name of the case.
    """

    def __init__(self, meter):
        self.meter = meter
        self.operations = {}

    @contextlib.contextmanager
    def job_manager(self, threads):
        """Yield a job manager; its run ends with the context."""
        manager = AWSBatchJobManager(threads)
        try:
            yield manager
        finally:
            manager.finalise()
            close_all()

    @contextlib.contextmanager
    def without_workers(self):
        """Use another embedded AWS inside the context, in which no job ever starts."""
        with metered_aws(workers=0):
            yield


@contextlib.contextmanager
def metered_aws(workers):
    """Use an embedded AWS inside the context; yield its meter."""
    with LocalAWS(workers, middleware="meter:MeteringApp") as aws:
        yield Meter(aws.endpoint)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    parser.add_argument("--no-latency", action="store_true", help="add no latency to requests")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"no scenario {', '.join(unknown)}")
    os.environ["RIOS_AWSBATCH_QUICK_BLOCKS"] = "workers"  # workers' blocks are what is measured
    # The functions travel by value, and this folder does not.
    os.environ["RIOS_AWSBATCH_MODULES"] = "none"
    # 2 GB of blocks in flight must be on the server's disk, not in its memory.
    os.environ.setdefault("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", str(64 * 1024))
    console = Console(width=None if sys.stdout.isatty() else 160)
    lines = []
    with metered_aws(workers=8) as meter:
        latency = {} if arguments.no_latency else LATENCY
        meter.set_latency(latency)
        console.print(f"The embedded AWS is up; latency: {latency or 'none'}.")
        bench = Bench(meter)
        for name in arguments.scenarios or SCENARIOS:
            scenario, begun = SCENARIOS[name], time.monotonic()
            console.print(f"[bold]{name}[/]: {scenario.__doc__}", highlight=False)
            lines += scenario(bench)
            console.print(
                f"  [dim]{time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}[/]",
                highlight=False,
            )
    if bench.operations:
        console.print(operations_table(bench.operations))
    console.print(table(lines))
    if arguments.json:
        write_json(arguments.json, lines, bench.operations)
    return int(any(line.ok is False for line in lines))


if __name__ == "__main__":
    sys.exit(main())
