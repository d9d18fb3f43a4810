"""Whether a round of RIOS 1.4's blocks is quicker sent to the workers or computed by main: as measured."""

import collections
import math
import statistics
import time

__all__ = ["Pace"]

# Many enough that one slow round, the first with its starting workers, does not decide.
LEARNING_ROUNDS = 12


class Pace:
    """Learns what sending adds to a round, and what a block takes.

    Args:
        idle_timeout: Seconds after which workers without a task leave. A round is sent in half of them, whatever is
            quicker, so that they are there when blocks take longer, and what is known of sending is fresh.
    """

    def __init__(self, idle_timeout: float) -> None:
        self._sent_again_after = idle_timeout / 2
        self._added: collections.deque[float] = collections.deque(maxlen=LEARNING_ROUNDS)
        self._block = math.inf
        self._latest = time.monotonic()

    def computed(self, seconds: float) -> None:
        """Note what the latest block took here."""
        self._block = seconds

    def sent(self, seconds: float) -> None:
        """Note what a round took that was sent, but for its first block, which was computed here meanwhile."""
        self._added.append(seconds - self._block)
        self._latest = time.monotonic()

    def worth_sending(self, blocks: int) -> bool:
        """Say whether `blocks` blocks should rather be sent than computed here one after the other."""
        if len(self._added) < LEARNING_ROUNDS or time.monotonic() - self._latest > self._sent_again_after:
            return True
        return blocks * self._block > statistics.median(self._added)
