"""The command ``rios-awsbatch acceptance``."""

import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rios_plugin_awsbatch.acceptance.prices import PRICES, PRICES_OF
from rios_plugin_awsbatch.acceptance.records import Outcome, Promise
from rios_plugin_awsbatch.acceptance.site import Site
from rios_plugin_awsbatch.acceptance.walk import chosen, estimate, walk
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local.options import SERVER
from rios_plugin_awsbatch.stack.outputs import RUNS_NEED

from .common import OpenedStack, note, opened_stack

__all__ = ["acceptance"]

_STYLES: Final = {"kept": "green", "broken": "red", "failed": "red", "not shown": "yellow"}
_BAD: Final = ("broken", "failed")


@click.command()
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="A promise or a group of promises; may be repeated.  [default: all]",
)
@click.option("--list", "listing", is_flag=True, help="List the promises, and try none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plain", is_flag=True, help="Print a line for each promise, not a table.")
@click.option("--yes", is_flag=True, help="Do not ask, although it costs money.")
@click.option(
    "--fis-role",
    default="",
    metavar="ARN",
    help="A role with which AWS FIS may interrupt the stack's Spot machines.  [default: none]",
)
def acceptance(  # noqa: PLR0913 - the options of the command
    only: tuple[str, ...], fis_role: str, *, listing: bool, as_json: bool, plain: bool, yes: bool
) -> None:
    """Try on a real account what no emulator can show.

    It needs a stack with an image in it, and creates another stack; at the end, everything that it
    has made is deleted. Exits with 1 if a promise was broken.
    """
    promises = chosen(only)
    if listing:
        _list(promises, as_json=as_json)
        return
    opened = opened_stack(*RUNS_NEED)
    embedded = _is_embedded(opened)
    if not embedded:
        _ask(promises, yes=yes)
    site = Site(*opened, embedded=embedded, fis_role=fis_role, say=logging.getLogger(__name__).info)
    outcomes: list[Outcome] = []
    gone = False
    try:
        for outcome in walk(site, promises):
            outcomes.append(outcome)
            if not as_json:
                note(f"{outcome.promise.name}: {outcome.verdict}")
    finally:
        gone = _take_down(site)
        _show(outcomes, as_json=as_json, plain=plain)
    if not gone:
        raise AWSBatchException("Not everything could be deleted; the warnings name what is left.")
    sys.exit(any(outcome.verdict in _BAD for outcome in outcomes))


def _is_embedded(opened: OpenedStack) -> bool:
    with explained(AWSBatchException, "Cannot ask who you are"):
        answer = opened.clients.sts.get_caller_identity()
    return answer["ResponseMetadata"]["HTTPHeaders"].get("server") == SERVER


def _ask(promises: Sequence[Promise], *, yes: bool) -> None:
    minutes, cost = estimate(promises)
    sentence = (
        f"{len(promises)} promises take about {minutes:.0f} minutes and cost about "
        f"${cost.dollars:.2f} (estimate; prices of {PRICES_OF})."
    )
    note(sentence)
    if yes:
        return
    if not sys.stdin.isatty():
        raise AWSBatchException("Without a terminal to ask, acceptance needs --yes.")
    click.confirm("Go on?", abort=True)


def _take_down(site: Site) -> bool:
    """Delete what was made; a Ctrl-C ends the step it meets, and no other."""
    note("Deleting what was made ...")
    gone = False
    with contextlib.suppress(KeyboardInterrupt):
        gone = site.take_down()
    return gone


def _list(promises: Sequence[Promise], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_described(promise) for promise in promises], indent=2))
        return
    for promise in promises:
        click.echo(f"{promise.name}: {promise.text}\n    {promise.document}")


def _described(promise: Promise) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(promise).items() if name != "check"}


def _show(outcomes: Sequence[Outcome], *, as_json: bool, plain: bool) -> None:
    if as_json:
        content = {
            "prices": {"of": PRICES_OF, "usd": PRICES},
            "outcomes": [_json_of(outcome) for outcome in outcomes],
        }
        click.echo(json.dumps(content, indent=2))
    elif plain:
        for one in outcomes:
            click.echo(f"{one.verdict:9} {one.promise.name}: {one.detail} [{_cost_of(one)}]")
    else:
        Console().print(_table(outcomes))
    if not as_json:
        dollars = sum(outcome.cost.dollars for outcome in outcomes)
        click.echo(f"About ${dollars:.4f} in all (estimate; prices of {PRICES_OF}).")


def _json_of(outcome: Outcome) -> dict[str, Any]:
    return {
        **_described(outcome.promise),
        "verdict": outcome.verdict,
        "detail": outcome.detail,
        "seconds": round(outcome.seconds, 1),
        "requests": outcome.cost.count,
        "vcpu_seconds": round(outcome.cost.vcpu_seconds, 1),
        "usd_estimate": round(outcome.cost.dollars, 6),
    }


def _cost_of(outcome: Outcome) -> str:
    cost = outcome.cost
    return (
        f"{outcome.seconds:.0f} s, {cost.count} requests, {cost.vcpu_seconds:.0f} vCPU s, "
        f"${cost.dollars:.4f}"
    )


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("promise", "verdict", "seen", "document", "cost (estimate)")
    for one in outcomes:
        style = _STYLES[one.verdict]
        table.add_row(
            f"[bold]{one.promise.name}[/]\n{escape(one.promise.text)}",
            f"[{style}]{one.verdict}[/]",
            escape(one.detail),
            escape(one.promise.document),
            _cost_of(one),
        )
    return table
