"""What the commands on a stack print: progress, planned changes, a report."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console

from rios_plugin_awsbatch.stack.events import Event
from rios_plugin_awsbatch.stack.managed import ManagedStack
from rios_plugin_awsbatch.stack.plan import Plan
from rios_plugin_awsbatch.stack.records import Step
from rios_plugin_awsbatch.stack.report import StackReport

__all__ = ["console", "show_plan", "show_progress", "show_report"]

console: Final = Console(highlight=False, soft_wrap=True)


def show_progress(records: Iterable[Event | Step]) -> None:
    """Print what has been done, and meanwhile what is under way; ends when the work does."""
    under_way: dict[str, str] = {}
    done = 0
    with console.status("Waiting for CloudFormation") as spinner:
        for record in records:
            if isinstance(record, Step):
                console.print(record.text, markup=False)
                continue
            under_way.pop(record.resource, None)
            if record.status.endswith("_IN_PROGRESS"):
                under_way[record.resource] = record.status
            else:
                done += not record.kind.endswith("::Stack")
                _show_event(record)
            spinner.update(f"{done} resources done; under way: {', '.join(under_way) or 'nothing'}")


def _show_event(event: Event) -> None:
    reason = f": {event.reason}" if event.reason else ""
    line = f"{event.time:%H:%M:%S} {event.status:<16} {event.resource} ({event.kind}){reason}"
    console.print(line, style="red" if event.failed else None, markup=False)


def show_plan(plan: Plan) -> None:
    """Print what a change would do."""
    for change in plan.changes:
        how = ", replacing it" if change.replaced else ""
        console.print(f"{change.action} {change.resource} ({change.kind}){how}", markup=False)
    if not plan.changes:
        console.print("Only tags change.")
    for loss in plan.losses:
        console.print(f"This deletes {loss}.", markup=False)


def show_report(managed: ManagedStack, report: StackReport) -> None:
    """Print the state of a stack; what is empty is left out."""
    jobs = ", ".join(f"{count} {status}" for status, count in report.jobs.items() if count)
    rows = {"status": report.status, "cause": report.cause}
    rows |= {f"compute environment {name}": said for name, said in report.environments.items()}
    if report.environments:
        rows |= {"jobs": jobs or "none", "runs": str(report.runs)}
    for repository, pushed in report.images.items():
        rows[f"images of {repository}"] = f"latest of {pushed:%c}" if pushed else "none: push one"
    rows |= {f"parameter {name}": value for name, value in sorted(report.parameters.items())}
    rows |= {f"output {name}": value for name, value in sorted(report.outputs.items())}
    console.print(str(managed), style="bold")
    for name, value in rows.items():
        if value:
            console.print(f"{name}: {value}", markup=False)
