"""Waiting out trouble with AWS that passes by itself."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from .errors import is_missing_queue, is_passing, sentence_for
from .renewal import Renewal

__all__ = ["NEW_QUEUE_SECONDS", "OUTAGE_SECONDS", "Patience"]

log = logging.getLogger(__name__)

Value = TypeVar("Value")

OUTAGE_SECONDS: Final = 300.0
# CreateQueue's page says at least one second, DeleteQueue's up to a minute until a change is seen
# everywhere:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
NEW_QUEUE_SECONDS: Final = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0


class Patience:
    """Repeats calls whose errors may pass, and gives up in the end.

    Args:
        outage: Seconds for which AWS may be out of reach, from the first error of a call.
        new_queue: Seconds from now for which a queue may be unknown, because it is new.
        ended: Ends all waiting when it is set: the call's error is raised.
        passes: Says whether an error may pass.
        renewal: Says whether to wait for credentials; without it, an error of theirs is raised.
    """

    def __init__(
        self,
        *,
        outage: float = OUTAGE_SECONDS,
        new_queue: float = 0.0,
        ended: threading.Event | None = None,
        passes: Callable[[Exception], bool] = is_passing,
        renewal: Renewal | None = None,
    ) -> None:
        self._outage = outage
        self._known_by = time.monotonic() + new_queue
        self._ended = ended or threading.Event()
        self._passes = passes
        self._renewal = renewal

    def call(self, function: Callable[[], Value], *, what: str = "") -> Value:
        """Return what `function` returns; call it again while its errors may pass.

        Args:
            function: Makes a request.
            what: What it does, "receive results" for instance, for a warning at each repetition.

        Raises:
            Exception: The latest error, if it does not pass or has lasted too long, or if the
                waiting was ended.
        """
        since: float | None = None
        pause = FIRST_PAUSE
        while True:
            begun = time.monotonic()
            try:
                value = function()
            except Exception as error:
                now = time.monotonic()
                lapsed = self._renewal is not None and self._renewal.awaits(error)
                since = now if since is None or lapsed else since  # no outage, meanwhile
                unknown = is_missing_queue(error) and now < self._known_by
                passes = unknown or (self._passes(error) and now - since < self._outage)
                # At its end, a run deletes its queues.
                if not (lapsed or passes) or self._ended.is_set():
                    raise
                # A renewal has its own line.
                level = logging.WARNING if what and not lapsed else logging.DEBUG
                log.log(level, "will try again to %s: %s", what or "ask AWS", sentence_for(error))
                # Not all clients at the same moment, see
                # https://docs.aws.amazon.com/general/latest/gr/api-retries.html
                if self._ended.wait(pause * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
                    raise
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self._renewal is not None:
                    self._renewal.succeeded(begun)
                return value
