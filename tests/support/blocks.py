"""Block functions for tests of faults, and what tells the tests where a task is being computed."""

import contextlib
import os
import sys
import time
from pathlib import Path

import cloudpickle
import numpy as np

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.run.run import start_run
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import RUNS_NEED, read_stack
from tests.support.helpers import eventually

PATIENCE = 60.0


def block(number, side=64):
    """Return a block that shows its number in every pixel."""
    return (
        np.arange(side * side, dtype=np.int64).reshape(side, side) * 2654435761 + number
    ) % 65521


def noted_block(number, folder):
    """Same as block(), but leaves a line for each call."""
    note_call(number, folder)
    return block(number)


def gated_block(number, folder):
    """Same as noted_block(), but waits for the folder's gate."""
    note_call(number, folder)
    wait_for_gate(folder)
    return block(number)


def killed_once_block(number, folder):
    """Same as noted_block(), but the first call of each block ends as the OOM killer ends it."""
    note_call(number, folder)
    try:
        os.close(os.open(f"{folder}/killed-{number}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return block(number)
    os.kill(os.getpid(), 9)
    raise AssertionError


def note_call(number, folder):
    """Append who computes what; a short write to a file opened for appending is one."""
    with open(f"{folder}/calls", "ab", buffering=0) as calls:  # noqa: PTH123 - as above
        calls.write(f"{number} {os.getpid()} {os.getppid()}\n".encode())


def wait_for_gate(folder):
    """Return when the gate is open."""
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(f"{folder}/gate"):  # noqa: PTH110
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Stage:
    """A folder that functions and the test share: who was called, and the gate."""

    def __init__(self, folder):
        self.folder = str(folder)
        self._calls = Path(folder, "calls")
        self._gate = Path(folder, "gate")

    def calls(self):
        """Return (block, compute process, worker) of each call."""
        if not self._calls.exists():
            return []
        return [tuple(map(int, line.split())) for line in self._calls.read_text().splitlines()]

    def counts(self):
        """Return how often each block was computed."""
        numbers = [number for number, _, _ in self.calls()]
        return {number: numbers.count(number) for number in numbers}

    def nth_call(self, count):
        """Wait for the nth call, and return (block, compute process, worker)."""
        return eventually(
            lambda: len(self.calls()) >= count and self.calls()[count - 1],
            f"no call number {count}",
        )

    def open_gate(self):
        self._gate.touch()


def same_blocks(results, numbers):
    """Say whether results are the blocks that a serial computation gives."""
    expected = [block(number) for number in numbers]
    return len(results) == len(expected) and all(map(np.array_equal, results, expected))


@contextlib.contextmanager
def run_with(workers=1, job_definition=None, **settings):
    """Start a run, with another job definition than the stack's if one is given; close it."""
    made = load(Settings, **settings, job_definition=job_definition)
    clients = Clients(made.region)
    run = start_run(made, read_stack(clients, made, *RUNS_NEED), clients, workers)
    with contextlib.closing(run):
        yield run


# Workers do not have this folder on their path, as they have no user's script.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
