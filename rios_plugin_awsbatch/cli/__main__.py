"""The entry point of ``rios-awsbatch``: imports the module of a command when that command is used.

``rios-awsbatch --help`` and ``--version`` thus import neither boto3 nor pydantic.
"""

import dataclasses
import importlib
import logging
from typing import Final

import click

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.programs import configure_logging

from .errors import presented_errors

__all__ = ["COMMANDS", "Entry", "commands", "main"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A command before its module is imported.

    Attributes:
        module: The module of this package that has it, under the command's name.
        help: The first sentence of its help.
    """

    module: str
    help: str


COMMANDS: Final = {
    "acceptance": Entry("acceptance", "Try on a real account what no emulator can show."),
    "cancel": Entry("jobs", "Cancel jobs."),
    "clean": Entry("clean", "Delete what killed main scripts and ended jobs left behind."),
    "demo": Entry("demo", "Compute the NDVI of a scene in workers, and draw it."),
    "doctor": Entry("doctor", "Check the installation, the settings and the stack."),
    "image": Entry("image", "Build and push the workers' image."),
    "jobs": Entry("jobs", "List the stack's jobs, the newest first."),
    "local": Entry("local", "Run COMMAND on an embedded AWS."),
    "logs": Entry("jobs", "Show a job's log."),
    "stack": Entry("stack", "Manage the stack."),
    "submit": Entry("submit", "Run a script on AWS Batch, as a job that starts workers."),
}


class _LazyGroup(click.Group):
    """A group that imports the module of a command when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.{COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rios-awsbatch")
@click.option("-v", "--verbose", count=True, help="Log what happens; twice for more.")
def commands(verbose: int) -> None:
    """Run RIOS block functions on AWS Batch workers."""
    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    configure_logging(level, with_time=False)


def main() -> None:
    """Run ``rios-awsbatch``."""
    with presented_errors("rios-awsbatch"):
        commands(prog_name="rios-awsbatch", standalone_mode=False)


if __name__ == "__main__":
    main()
