"""Whether main is still there: a worker for nobody computes nothing more, and ends.

Main renews the run's record (``runs/<run id>/run.json``) several times within `main_timeout`
seconds. This looks at how old it is by S3's own clock. What cannot be seen says nothing about main:
after an outage, or a sleep of this machine, main first has the time to renew the record.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_denied, is_missing_object, sentence_for
from rios_plugin_awsbatch.aws.names import inventory_key
from rios_plugin_awsbatch.aws.s3 import age_of
from rios_plugin_awsbatch.settings import WorkerSettings

__all__ = ["Liveness"]

log = logging.getLogger(__name__)

# Shares of `main_timeout`. Main renews the record after 1/4. A worker ends when it has seen it old
# for longer than a renewal takes, after 0.45 + 0.1 + 0.33 + 0.1 of the time at the latest.
OLD, LOOK, SEEN_OLD = 0.45, 0.1, 1 / 3
GONE: Final = "its main is gone"


class Liveness:
    """Looks at the run's record in a thread of its own.

    Args:
        clients: The AWS clients.
        settings: Names the bucket and the run, and has the time-out.
        gone: Called when main is gone, with the reason.
        ended: Ends the thread.
    """

    def __init__(
        self,
        clients: Clients,
        settings: WorkerSettings,
        gone: Callable[[str], object],
        ended: threading.Event,
    ) -> None:
        self._clients = clients
        self._bucket, self._run = settings.bucket, settings.run
        self._timeout = settings.main_timeout
        self._gone = gone
        self._ended = ended
        self._seen = False
        self._old_since: float | None = None
        self._thread = threading.Thread(target=self._loop, name="liveness", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _loop(self) -> None:
        while not (reason := self._reason_to_end()):
            if self._ended.wait(self._timeout * LOOK):
                return
        log.warning("run=%s %s", self._run, reason)
        self._gone(reason)

    def _reason_to_end(self) -> str:
        """Return why nobody waits for this worker; empty if somebody may."""
        try:
            answer: Any = self._clients.s3.head_object(
                Bucket=self._bucket, Key=inventory_key(self._run)
            )
        except AWS_ERRORS as error:
            return self._reason_after(error)
        first, self._seen = not self._seen, True
        age, now = age_of(answer["LastModified"], answer), time.monotonic()
        if first and age >= self._timeout:  # the job had to wait, and main has died meanwhile
            return f"{GONE}: it had not renewed the run's record for {age:.0f} s"
        if age < self._timeout * OLD:
            self._old_since = None
            return ""
        if not self._lasts(now):
            return ""
        return f"{GONE}: it has not renewed the run's record for {age:.0f} s"

    def _reason_after(self, error: Exception) -> str:
        """Return why nobody waits for this worker, if it cannot see the run's record."""
        if self._seen and is_missing_object(error):
            return "the run is over: its record has been deleted"
        # To those who may not list the bucket, S3 does not say whether an object is missing.
        if self._seen and is_denied(error):
            gone = self._lasts(time.monotonic())
            return "the run is over: its record cannot be read any more" if gone else ""
        self._old_since = None
        log.debug("run=%s cannot look at its record: %s", self._run, sentence_for(error))
        return ""

    def _lasts(self, now: float) -> bool:
        """Say whether main has given no sign of life for long, as this worker has seen itself."""
        self._old_since = now if self._old_since is None else self._old_since
        return now - self._old_since >= self._timeout * SEEN_OLD
