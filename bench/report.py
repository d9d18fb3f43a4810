"""Results, one line each, as a table and as JSON."""

import collections
import dataclasses
import json
from pathlib import Path

from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Line:
    """One result.

    Attributes:
        what: What was measured.
        value: The result.
        unit: Its unit.
        limit: The target; None if there is none.
        at_least: Whether the target is a minimum; else it is a maximum.
        note: More about it.
    """

    what: str
    value: float
    unit: str = ""
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ok(self):
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def target(self):
        if self.limit is None:
            return ""
        return f"{'>=' if self.at_least else '<='} {self.limit:.4g} {self.unit}".rstrip()


def table(lines):
    """Return the table of all results."""
    verdicts = {True: "[green]ok", False: "[bold red]missed", None: "[dim]for information"}
    shown = Table(title="rios-plugin-awsbatch: what it must reach")
    for heading in ("what", "measured", "target", "", "note"):
        shown.add_column(heading, justify="right" if heading in {"measured", "target"} else "left")
    for line in lines:
        shown.add_row(
            line.what,
            f"{line.value:.3g} {line.unit}".rstrip(),
            line.target,
            verdicts[line.ok],
            line.note,
        )
    return shown


def operations_table(operations):
    """Return the table of requests per block, from counters of operations by case."""
    shown = Table("operation", *operations, title="AWS requests per block that a worker computed")
    for operation in sorted(set().union(*operations.values())):
        shown.add_row(operation, *(f"{counts[operation]:.2f}" for counts in operations.values()))
    return shown


def write_json(path, lines, operations):
    """Write all results as JSON."""
    measured = [{**dataclasses.asdict(line), "ok": line.ok} for line in lines]
    Path(path).write_text(
        json.dumps({"targets": measured, "operations": operations}, indent=1), encoding="utf-8"
    )


def per_block(requests, blocks):
    """Return how many requests there were per block, by operation."""
    counts = collections.Counter(request.operation for request in requests)
    return collections.Counter({operation: count / blocks for operation, count in counts.items()})
