"""Runs in children of multiprocessing: right results, and nothing left, however a child ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "support" / "pools.py"
PATIENCE = 150
SAID = """\
Process 4
Pool [9, 16]
Pool [25, 36]
ProcessPoolExecutor [49, 64]
"""


def run(script, *arguments, **environ):
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_leaves_nothing(method, cloud):
    """Process, Pool with join, Pool with terminate, ProcessPoolExecutor, by each start method."""
    ended = run(SCRIPT, method)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, SAID, "")
    assert not cloud.run_queues()
    assert not cloud.objects()
