"""The command ``rios-awsbatch doctor``."""

import sys

import click
from rich.console import Console
from rich.markup import escape

from .checks import examine

__all__ = ["doctor"]

_SIGNS = {"good": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]BAD [/]"}


@click.command()
@click.option(
    "--worker", is_flag=True, help="Start a worker too, and compare its versions with those here."
)
def doctor(*, worker: bool) -> None:
    """Check the installation, the settings and the stack.

    Each line says what was found, and what to do if it is not good.
    """
    console = Console(soft_wrap=True, highlight=False)
    bad = False
    for finding in examine(ask_worker=worker):
        bad = bad or finding.verdict == "bad"
        what, detail = escape(finding.what), escape(finding.detail)
        console.print(f"{_SIGNS[finding.verdict]} [bold]{what}[/]: {detail}")
        if finding.remedy:
            console.print(f"     -> {escape(finding.remedy)}")
    sys.exit(bad)
