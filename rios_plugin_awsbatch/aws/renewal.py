"""Waiting for credentials that have ended while a run is under way."""

import logging
import threading
import time

from .errors import is_lapse, sentence_for

__all__ = ["Renewal"]

log = logging.getLogger(__name__)


class Renewal:
    """Says whether it is worth while to wait for credentials, and logs that once for all threads.

    Clients look credentials up again by themselves (`RenewableCredentials`), so that nothing is to
    be done but to repeat the request.

    Args:
        seconds: How long to wait, from the first error after the latest success.
        who: What waits, "run=..." for instance, which begins the log's lines.
        safe: What is not lost meanwhile, for the log.
    """

    def __init__(self, seconds: float, who: str, *, safe: str = "") -> None:
        self.seconds = seconds
        self._who = who
        self._safe = f" {safe}" if safe else ""
        self._changing = threading.Lock()  # guards `_since` and `_ended`
        self._since: float | None = None
        self._ended = False

    def awaits(self, error: Exception) -> bool:
        """Say whether to wait: the error is one of credentials, and the time is not over."""
        if not is_lapse(error):
            return False
        now = time.monotonic()
        with self._changing:
            if self._ended or not self.seconds:
                return False
            first = self._since is None
            since = self._since = now if self._since is None else self._since
        if first:
            log.warning(
                "%s waits up to %.0f s for credentials: %s%s",
                self._who,
                self.seconds,
                sentence_for(error),
                self._safe,
            )
        return now - since < self.seconds

    def end(self) -> None:
        """Wait no more: whatever waits gives up at its next try."""
        with self._changing:
            self._ended = True

    def succeeded(self, begun: float) -> None:
        """Note that AWS has accepted a request.

        Args:
            begun: When it was sent, by `time.monotonic`. A long poll of before the lapse says
                nothing.
        """
        if self._since is None:  # nearly always; no lock is needed to see that
            return
        with self._changing:
            since = self._since
            if since is None or begun < since:
                return
            self._since = None
        waited = time.monotonic() - since
        log.warning("%s goes on: after %.0f s, AWS accepts the credentials", self._who, waited)
