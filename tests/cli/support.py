"""What the tests of the command share: it as a process, and all of its commands."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import click

from rios_plugin_awsbatch.cli.__main__ import commands
from rios_plugin_awsbatch.cli.stack import createbatch, deletebatch

SCRIPTS = Path(sys.executable).parent


@dataclasses.dataclass
class Ended:
    code: int
    out: str
    err: str


def run(*words, **environment):
    """Run `rios-awsbatch`, and return how it ended."""
    done = subprocess.run(
        [SCRIPTS / "rios-awsbatch", *words],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def all_commands():
    """Return each command and group, with its name as users write it."""
    found = {"createbatch.py": createbatch, "deletebatch.py": deletebatch}
    waiting = [("rios-awsbatch", commands)]
    while waiting:
        name, command = waiting.pop()
        found[name] = command
        if isinstance(command, click.Group):
            context = click.Context(command)
            waiting += [
                (f"{name} {inner}", command.get_command(context, inner))
                for inner in command.list_commands(context)
            ]
    return found


def help_of(name, command):
    """Return a command's help, as a terminal of 80 columns shows it."""
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 80}
    context = click.Context(command, info_name=name, **settings)
    return command.get_help(context)
