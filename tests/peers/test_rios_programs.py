"""RIOS's own test programs, with every `apply` on AWS Batch workers.

None of them is ours: they come with the installed RIOS, or from the folder that RIOS_SUITE names.
"""

import math

import numpy as np
import pytest

from tests.hosts.support import hosted

GENERATION = hosted.generation()
if not GENERATION:
    pytest.skip(
        "no RIOS is installed (tox -e rios1, rios2, riosdev do it)", allow_module_level=True
    )

from tests.peers.support.driver import THREADS
from tests.peers.support.driving import drive, programs_of_rios

PROGRAMS = programs_of_rios()
if not PROGRAMS:
    pytest.skip(
        "this RIOS has no folder riostests; RIOS_SUITE may name one", allow_module_level=True
    )

# Programs that read what blocks have written into main's otherArgs. RIOS 1.4 loses what workers
# write; RIOS 2 returns it in its workers' copies, which the driver merges.
SHARING = {
    1: {
        "testcoords": "collects coordinates in lists",
        "testlayerselection": "sums pixels",
    },
    2: {"testcoords": "its lists must be in the order of blocks, which no parallel RIOS promises"},
}[GENERATION]

# Programs that fail in RIOS itself, by any means.
FAILING = {}
if GENERATION == 1 and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
    FAILING = {
        "testvector": "compares numbers of different precision, which are equal with numpy 1",
        "teststats": "RIOS 1.4 needs numpy 1",
        "testratstats": "RIOS 1.4 needs numpy 1",
    }


def blocks_of_workers(calls):
    """Return how many of the blocks of each `apply` workers compute: RIOS 1.4's main has some."""
    return sum(n - math.ceil(n / THREADS) if GENERATION == 1 else n for n in calls)


@pytest.fixture
def driven(cloud, tmp_path):
    """Run a program in one of the driver's ways."""
    return lambda how, program: drive(how, f"rios.riostests.{program}", tmp_path / how)


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p not in SHARING])
def test_a_program_finds_what_it_finds_in_a_serial_run(program, driven):
    """It passes, and workers have computed each block once, but for those of RIOS 1.4's main."""
    serial = driven("serial", program)
    assert (serial.outcome != "True") == (program in FAILING), serial.said
    if not serial.calls:
        pytest.skip(f"{program} calls no `apply` here")
    workers = driven("workers", program)
    assert workers.outcome == serial.outcome, workers.said
    assert workers.blocks.get("workers", 0) == blocks_of_workers(serial.calls)
    assert sum(workers.blocks.values()) == sum(serial.calls)


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p in SHARING])
def test_what_cannot_be_computed_in_parallel_fails_with_rios_too(program, driven):
    """A program that needs main's otherArgs fails here and with RIOS's own workers alike."""
    serial, workers = driven("serial", program), driven("unmerged", program)
    assert serial.outcome == "True", serial.said
    assert workers.outcome == driven("own", program).outcome != "True", workers.said
    assert workers.blocks["workers"] == blocks_of_workers(serial.calls)
