"""How often failed workers are replaced: a crash may happen again and again, a reclaim passes."""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from .launch import JobState
from .roster import Roster

__all__ = ["Replacements"]

_Kind: TypeAlias = Literal["crashes", "reclaims"]
_KINDS: Final[tuple[_Kind, _Kind]] = ("crashes", "reclaims")


class Replacements:
    """Says which failed workers are to be replaced, and whether all may be started again.

    A round in which a worker has crashed uses up one of so many for the whole run. A round in which
    workers have only lost their machines uses up one of as many, which are all there again as soon
    as a task has been answered. So a run on Spot machines ends only if it makes no progress.

    One thread at a time uses it.

    Args:
        rounds: How many.
        roster: Counts the answers, and knows who has been ready.
    """

    def __init__(self, rounds: int, roster: Roster) -> None:
        self._rounds: Final = rounds
        self._roster = roster
        self._left: dict[_Kind, int] = dict.fromkeys(_KINDS, rounds)
        self._replaced: dict[_Kind, int] = dict.fromkeys(_KINDS, 0)  # of the present jobs
        self._replies = 0  # at the latest round of reclaims

    def not_replaced(self, states: Iterable[JobState], missing: int) -> int:
        """Return how many failed workers are to have no successors.

        Args:
            states: The present jobs.
            missing: How many workers tasks have need of; if none, no round is used up.
        """
        failed = _failed(states)
        for kind in _KINDS:
            if missing > 0 and failed[kind] > self._replaced[kind] and self._take(kind):
                self._replaced[kind] = failed[kind]
        return sum(failed.values()) - sum(self._replaced.values())

    def may_start_again(self, states: Iterable[JobState]) -> bool:
        """Say whether to start workers again where all have ended; if so, the jobs are new ones."""
        failed = _failed(states)
        new = [kind for kind in _KINDS if failed[kind] > self._replaced[kind]]
        ready = self._roster.ready_since_launch
        if "crashes" in new and not self._roster.seen:
            return False
        if "crashes" in new or not (new or ready):  # or they ended well and have not worked
            may = self._take("crashes")
        else:
            may = not new or self._take("reclaims")
        if may:
            self._replaced = dict.fromkeys(_KINDS, 0)
        return may

    def _take(self, kind: _Kind) -> bool:
        """Use up a round; False if none is left."""
        replies = self._roster.replies
        if kind == "reclaims" and replies > self._replies:
            self._left[kind], self._replies = self._rounds, replies
        if self._left[kind] <= 0:
            return False
        self._left[kind] -= 1
        return True


def _failed(states: Iterable[JobState]) -> dict[_Kind, int]:
    """Return how many workers have crashed, and how many have lost their machines."""
    found = list(states)
    reclaims = sum(state.reclaimed for state in found)
    return {"crashes": sum(state.failed for state in found) - reclaims, "reclaims": reclaims}
