"""Stacks of the embedded AWS, and the commands on them."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.stack.create import create_stack
from rios_plugin_awsbatch.stack.managed import ManagedStack
from rios_plugin_awsbatch.stack.modify import apply_plan, plan_change
from rios_plugin_awsbatch.stack.records import Step
from rios_plugin_awsbatch.stack.report import report_on
from tests.support import commands

REGION = "ap-southeast-2"
COMMAND = Path(sys.executable).parent / "rios-awsbatch"
SCRIPTS = Path(__file__).parents[3] / "stack"


def managed(name):
    return ManagedStack(Clients(REGION), name, poll_seconds=0.05)


def create(name, parameters):
    """Create a stack, wait until it exists, and return it."""
    stack = managed(name)
    list(create_stack(stack, parameters, {}))
    return stack


def change(stack, parameters):
    """Change a stack, and return what is done and found meanwhile."""
    return list(apply_plan(stack, plan_change(stack, parameters, {})))


def outputs(stack):
    return dict(report_on(stack).outputs)


def steps(records):
    return [record.text for record in records if isinstance(record, Step)]


def run(*command, stdin=subprocess.DEVNULL, **environment):
    """Run a command without a terminal; its errors have no traceback."""
    words, env = [str(part) for part in command], {**os.environ, **environment}
    if words[0] == str(COMMAND):
        ended = commands.run(*words[1:], env=env, stdin=stdin)
        done = subprocess.CompletedProcess(words, ended.code, ended.out, ended.err)
    else:
        done = subprocess.run(
            words, env=env, stdin=stdin, capture_output=True, text=True, check=False
        )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_on_terminal(answer, *command, **environment):
    """Run a command with a terminal, at which somebody types an answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        return run(*command, stdin=theirs, **environment)
    finally:
        os.close(ours)
        os.close(theirs)
