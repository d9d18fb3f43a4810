"""The log of a job in CloudWatch: where it is, and how to read it."""

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from .clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import GetLogEventsResponseTypeDef

__all__ = ["LAG_SECONDS", "LogStream"]

# Batch's own, unless the job definition names another one.
LOG_GROUP: Final = "/aws/batch/job"
# CloudWatch shows a line a moment after it was written, even the last one of a job that has ended.
LAG_SECONDS: Final = 3.0


@dataclasses.dataclass(frozen=True)
class LogStream:
    """The log stream of one attempt of a job.

    Attributes:
        client: The client, of the log group's region.
        group: The log group.
        name: The stream.
    """

    client: "CloudWatchLogsClient"
    group: str
    name: str

    @classmethod
    def of(cls, clients: Clients, job: Any) -> "LogStream | None":
        """Return that of the latest attempt of a job that Batch has described; None if none ran."""
        container = job.get("container", {})
        name = container.get("logStreamName")
        if not name:
            return None
        options = container.get("logConfiguration", {}).get("options", {})
        group = options.get("awslogs-group", LOG_GROUP)
        return cls(clients.logs(options.get("awslogs-region")), group, name)

    def page(self, token: str | None) -> "GetLogEventsResponseTypeDef | None":
        """Return a page from the beginning, or from a token on; None if nothing was written."""
        return self._events(startFromHead=True, **({} if token is None else {"nextToken": token}))

    def tail(self, lines: int) -> list[str]:
        """Return the last lines so far."""
        answer = self._events(startFromHead=False, limit=lines)
        return [] if answer is None else [event["message"] for event in answer["events"]]

    def _events(self, **what: Any) -> "GetLogEventsResponseTypeDef | None":
        try:
            return self.client.get_log_events(
                logGroupName=self.group, logStreamName=self.name, **what
            )
        except self.client.exceptions.ResourceNotFoundException:
            return None
