"""What the tests of the command share: it as a process, and all of its commands."""

import os

import click

from rios_plugin_awsbatch.cli.__main__ import commands
from rios_plugin_awsbatch.cli.stack import createbatch, deletebatch
from tests.support import commands as running


def run(*words, **environment):
    """Run `rios-awsbatch`, and return how it ended."""
    return running.run(*words, env={**os.environ, **environment})


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
