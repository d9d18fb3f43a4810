"""What CloudFormation does to a stack, step by step, and what went wrong first."""

import dataclasses
import datetime as dt
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

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
_BEGINS_WITHIN: Final = 300.0
_BEGINNINGS: Final = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}


@dataclasses.dataclass(frozen=True)
class Event:
    """One step of a resource.

    Attributes:
        time: When.
        resource: Its name in the template; the stack's own name for the stack itself.
        kind: Its type.
        name: What AWS calls it; empty before it is made.
        status: What CloudFormation calls the step.
        reason: Why, mostly of failures.
    """

    time: dt.datetime
    resource: str
    kind: str
    name: str
    status: str
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether this is a failure, and not merely the end of what another one has cancelled."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


def newest_event(cloudformation: "CloudFormationClient", stack_id: str) -> str | None:
    """Return the id of the latest event, for those after it to be told from those before."""
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    return events[0]["EventId"] if events else None


def events_after(
    cloudformation: "CloudFormationClient", stack_id: str, after: str | None
) -> list[Event]:
    """Return the events after one, oldest first."""
    found: list[Event] = []
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for event in (event for page in pages for event in page["StackEvents"]):
        if event["EventId"] == after:
            break
        found.append(
            Event(
                event["Timestamp"],
                event["LogicalResourceId"],
                event["ResourceType"],
                event.get("PhysicalResourceId", ""),
                event["ResourceStatus"],
                event.get("ResourceStatusReason", ""),
            )
        )
    return found[::-1]


def follow(
    cloudformation: "CloudFormationClient",
    stack_id: str,
    after: str | None,
    poll_seconds: float,
    patience: float = _BEGINS_WITHIN,
) -> Generator[Event, None, str]:
    """Yield the events that come after one, until the stack is at rest; return its status then.

    The events tell it: for a moment after an order, AWS may say that the status is still that of before. That it is
    deleted can be none of before.

    Raises:
        StackError: Nothing has happened for `patience` seconds, and nothing is under way.
    """
    seen, latest = 0, time.monotonic()
    while True:
        # Asked before the events: those of the end are then among them.
        status = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        events = events_after(cloudformation, stack_id, after)
        for event in events[seen:]:
            yield event
            if event.name == stack_id and not event.status.endswith("_IN_PROGRESS"):
                return event.status
        if len(events) > seen or status.endswith("_IN_PROGRESS"):
            latest = time.monotonic()
        if status == "DELETE_COMPLETE":
            return status
        if time.monotonic() - latest > patience:
            raise StackError(
                f"For {patience:g} seconds CloudFormation does nothing about {stack_id}, which is {status}: see its "
                "events in the console, and order it again."
            )
        seen = len(events)
        time.sleep(poll_seconds)


def latest_operation(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events since the stack was last at rest."""
    begins = [
        number
        for number, event in enumerate(events)
        if event.kind == _STACK and event.status in _BEGINNINGS
    ]
    return events[begins[-1] :] if begins else events


def first_cause(events: Sequence[Event]) -> str:
    """Say what failed first; the failures after it mostly follow from it."""
    for event in events:
        if event.failed:
            return f"{event.resource} ({event.kind}): {(event.reason or event.status).rstrip('.')}."
    return ""


def undeleted(events: Sequence[Event]) -> list[Event]:
    """Return the last failure of each thing that was to be deleted and has stayed."""
    last = {
        event.name: event for event in events if event.status.startswith("DELETE_") and event.name
    }
    return [event for event in last.values() if event.status == "DELETE_FAILED"]
