"""What main has withdrawn: looked up in the bucket before a task is begun that takes long."""

import bisect
import logging
import math
import time
from typing import Final

from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.wire.exchange import Exchange

__all__ = ["Withdrawals"]

log = logging.getLogger(__name__)

# A look costs as much as 0.03 seconds of a small worker.
LOOK_SECONDS: Final = 2.0
WORTH_SECONDS: Final = 0.5


class Withdrawals:
    """Knows the tasks that nobody waits for; for the main thread only.

    Args:
        exchange: Where main says so.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._looked = -math.inf
        self._ranges: tuple[tuple[int, int], ...] = ()

    def include(self, task: int, typical: float | None) -> bool:
        """Say whether main has withdrawn a task.

        Args:
            task: Its number.
            typical: How many seconds tasks take here; None if nobody knows.
        """
        worth = typical is None or typical >= WORTH_SECONDS
        if worth and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
            self._looked = time.monotonic()
        place = bisect.bisect(self._ranges, (task, math.inf)) - 1
        return place >= 0 and task <= self._ranges[place][1]

    def _look(self) -> None:
        try:
            self._ranges = self._exchange.withdrawn().ranges
        except (AWSBatchException, *AWS_ERRORS) as error:  # mostly: nothing was withdrawn
            log.debug("run=%s withdrawals: %s", self._exchange.key.run, sentence_for(error))
