"""The records of an acceptance: promises, what was observed, outcomes and what they cost."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from .prices import Cost

if TYPE_CHECKING:
    from .site import Site

__all__ = ["NotShownError", "Observed", "Outcome", "Promise", "Verdict"]

Verdict: TypeAlias = Literal["kept", "broken", "not shown", "failed"]
Where: TypeAlias = Literal["anywhere", "rehearsed", "aws"]


class NotShownError(Exception):
    """A check cannot be made here; the message says what it would take."""


@dataclasses.dataclass(frozen=True)
class Observed:
    """What a check has seen.

    Attributes:
        kept: Whether the promise was kept.
        detail: What was seen, with numbers.
        vcpu_seconds: For how long jobs had how many vCPUs.
    """

    kept: bool
    detail: str
    vcpu_seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Promise:
    """Something that runs rely on.

    Attributes:
        name: Its group and its own name, ``queues.visibility`` for instance.
        text: What is promised.
        document: Where that is written.
        check: Tries it.
        minutes: About how long that takes.
        vcpu_seconds: About what it uses.
        where: ``anywhere``: it is a promise of this package's, which the embedded AWS can show as
            well. ``rehearsed``: it is AWS's; the embedded AWS only shows that the check works.
            ``aws``: the check cannot even be made on the embedded AWS.
    """

    name: str
    text: str
    document: str
    check: "Callable[[Site], Observed]"
    minutes: float = 0.1
    vcpu_seconds: float = 0.0
    where: Where = "rehearsed"

    @property
    def group(self) -> str:
        """The group of promises that it belongs to."""
        return self.name.partition(".")[0]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a promise.

    Attributes:
        promise: The promise.
        verdict: ``kept``; ``broken``; ``not shown``, as it could not be tried here; ``failed``, as
            the check itself did.
        detail: What was seen, or why nothing was.
        seconds: How long it took.
        cost: What it cost, as an estimate.
    """

    promise: Promise
    verdict: Verdict
    detail: str
    seconds: float
    cost: Cost
