"""The events of a stack: one for each step of a resource, and one for each step of the stack."""

import dataclasses
import datetime as dt
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import StackError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

__all__ = [
    "Event",
    "events_after",
    "first_cause",
    "follow",
    "latest_operation",
    "newest_event",
    "undeleted",
]

_STACK: Final = "AWS::CloudFormation::Stack"
_BEGINNINGS: Final = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
# How long nothing may happen; without a limit, a request that is lost is waited for forever.
_SILENCE_SECONDS: Final = 300.0


@dataclasses.dataclass(frozen=True)
class Event:
    """One step of a resource.

    Attributes:
        time: When it happened.
        resource: The resource's name in the template; of the stack itself, the stack's name.
        kind: Its type.
        name: What AWS calls it; empty before it exists.
        status: Its status since the step, ``CREATE_COMPLETE`` for instance.
        reason: Why; mostly given for failures.
    """

    time: dt.datetime
    resource: str
    kind: str
    name: str
    status: str
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether this is a failure of its own, not the cancellation that another one caused."""
        return self.status.endswith("_FAILED") and not _is_cancellation(self.reason)


def _is_cancellation(reason: str) -> bool:
    """Say whether a failure was a cancellation.

    CloudFormation has no status for that, only words, as in "Resource creation cancelled".
    """
    return "cancelled" in reason.lower()


def newest_event(cloudformation: "CloudFormationClient", stack_id: str) -> str | None:
    """Return the id of the newest event; `events_after` finds those that come later."""
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    return events[0]["EventId"] if events else None


def events_after(
    cloudformation: "CloudFormationClient", stack_id: str, after: str | None
) -> list[Event]:
    """Return the events after the one with an id, oldest first; all if it is None."""
    found: list[Event] = []
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for event in (event for page in pages for event in page["StackEvents"]):  # newest first
        if event["EventId"] == after:
            break
        found.append(
            Event(
                time=event["Timestamp"],
                resource=event["LogicalResourceId"],
                kind=event["ResourceType"],
                name=event.get("PhysicalResourceId", ""),
                status=event["ResourceStatus"],
                reason=event.get("ResourceStatusReason", ""),
            )
        )
    return found[::-1]


def follow(
    cloudformation: "CloudFormationClient",
    stack_id: str,
    after: str | None,
    poll_seconds: float,
    silence_seconds: float = _SILENCE_SECONDS,
) -> Generator[Event, None, str]:
    """Yield the events after the one with an id, until the operation ends; return its status.

    Trust the events: right after a request the status may still be the old one. DELETE_COMPLETE
    is never stale.

    Raises:
        StackError: Nothing has happened for `silence_seconds`, and nothing is in progress.
    """
    patience = Patience()
    seen, latest = 0, time.monotonic()
    while True:
        # Before the events: if this is the final status, they include the final one.
        described = patience.call(lambda: cloudformation.describe_stacks(StackName=stack_id))
        status = described["Stacks"][0]["StackStatus"]
        events = patience.call(lambda: events_after(cloudformation, stack_id, after))
        for event in events[seen:]:
            yield event
            if event.name == stack_id and not event.status.endswith("_IN_PROGRESS"):
                return event.status
        if len(events) > seen or status.endswith("_IN_PROGRESS"):
            latest = time.monotonic()
        if status == "DELETE_COMPLETE":
            return status
        if time.monotonic() - latest > silence_seconds:
            raise StackError(
                f"CloudFormation has done nothing for {silence_seconds:g} seconds to {stack_id}, "
                f"which is {status}: see its events in the console, and try again."
            )
        seen = len(events)
        time.sleep(poll_seconds)


def latest_operation(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events since the latest operation on the stack began."""
    begins = [
        number
        for number, event in enumerate(events)
        if event.kind == _STACK and event.status in _BEGINNINGS
    ]
    return events[begins[-1] :] if begins else events


def first_cause(events: Sequence[Event]) -> str:
    """Say what failed first, which mostly is what made the rest fail; empty if nothing did."""
    for event in events:
        if event.failed:
            return f"{event.resource} ({event.kind}): {(event.reason or event.status).rstrip('.')}."
    return ""


def undeleted(events: Sequence[Event]) -> list[Event]:
    """Return the final failure of each resource that should have been deleted and still exists."""
    last = {
        event.name: event for event in events if event.status.startswith("DELETE_") and event.name
    }
    return [event for event in last.values() if event.status == "DELETE_FAILED"]
