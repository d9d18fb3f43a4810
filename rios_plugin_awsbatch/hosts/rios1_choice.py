"""Who computes a round of RIOS 1.4's blocks: the workers, or main, whichever has been quicker."""

import collections
import statistics
from typing import Final

from rios_plugin_awsbatch.records import TaskRecord, TypicalSeconds

__all__ = ["LEARNING_ROUNDS", "RoundChoice"]

# Enough that a single slow round, such as the first one, which waits for workers, does not decide.
LEARNING_ROUNDS: Final = 12


class RoundChoice:
    """Learns how long a block takes in main, and how much time sending adds to a round.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._block = TypicalSeconds()
        self._latest = 0.0
        self._added: collections.deque[float] = collections.deque(maxlen=LEARNING_ROUNDS)

    def note_block(self, record: TaskRecord) -> None:
        """Take note of a block that main has computed."""
        self._block.note(record.seconds, record.blocks)
        self._latest = record.seconds

    def note_round(self, seconds: float) -> None:
        """Take note of how long a round took that was sent.

        Its first block is the one noted last: main computed it while the others were on their way.
        """
        self._added.append(seconds - self._latest)

    def relearn(self) -> None:
        """Forget all rounds, as main turned out to be slower; learn from twice as many now."""
        self._added = collections.deque(maxlen=2 * (self._added.maxlen or LEARNING_ROUNDS))

    def worth_sending(self, blocks: int) -> bool:
        """Return whether sending `blocks` blocks is quicker than computing them here in turn."""
        block = self._block.value
        if block is None or len(self._added) != self._added.maxlen:
            return True
        return blocks * block > statistics.median(self._added)
