"""CloudWatch Logs: what jobs print goes to moto's log streams."""

import sys
import threading
import time
from typing import Final

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.models import logs_backends

__all__ = ["JobLogs"]

_STREAM_SHOWN: Final = 8  # characters of a stream's name; enough to tell workers apart


class JobLogs:
    """Keeps the lines that jobs print, and shows them if wanted.

    Args:
        region: The region whose CloudWatch Logs they go to.
        shown: Whether to show them on standard error, each with the begin of its stream's name.
    """

    def __init__(self, region: str, *, shown: bool) -> None:
        self._backend = logs_backends[DEFAULT_ACCOUNT_ID][region]
        self._shown = shown
        self._writing = threading.Lock()  # guards moto's groups and streams, and standard error

    def write(self, group: str, stream: str, line: str) -> None:
        """Add a line to a log stream; the group and the stream need not exist."""
        event = {"timestamp": int(time.time() * 1000), "message": line}
        with self._writing:
            self._backend.ensure_log_group(group)
            self._backend.ensure_log_stream(group, stream)
            self._backend.put_log_events(group, stream, [event])
            if self._shown:
                sys.stderr.write(f"[{stream.rpartition('/')[2][:_STREAM_SHOWN]}] {line}\n")
                sys.stderr.flush()
