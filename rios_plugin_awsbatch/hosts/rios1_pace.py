"""Whether a round of RIOS 1.4's blocks is quicker sent to the workers or computed by main: as measured."""

import collections
import math
import statistics

__all__ = ["Pace"]

# Many enough that one slow round, the first with its starting workers, does not decide.
LEARNING_ROUNDS = 12


class Pace:
    """Learns what sending adds to a round, and what a block takes."""

    def __init__(self) -> None:
        self._added: collections.deque[float] = collections.deque(maxlen=LEARNING_ROUNDS)
        self._block = math.inf

    def computed(self, seconds: float) -> None:
        """Note what the latest block took here."""
        self._block = seconds

    def sent(self, seconds: float) -> None:
        """Note what a round took that was sent, but for its first block, which was computed here meanwhile."""
        self._added.append(seconds - self._block)

    def mistaken(self) -> None:
        """Note that a round was not as quick as it seemed: learn anew, and twice as long, as blocks differ much."""
        self._added = collections.deque(maxlen=2 * (self._added.maxlen or LEARNING_ROUNDS))

    def worth_sending(self, blocks: int) -> bool:
        """Say whether `blocks` blocks should rather be sent than computed here one after the other."""
        if len(self._added) != self._added.maxlen:
            return True
        return blocks * self._block > statistics.median(self._added)
