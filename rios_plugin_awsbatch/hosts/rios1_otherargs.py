"""Whether a function of RIOS 1.4 changes its otherargs: what it changes in a worker is lost.

Main sees it in the otherargs that it sends with each round, as the first block of a round is given
the script's own. A worker looks as well, if the otherargs are small: a function may change them in
few blocks only.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Final

from rios_plugin_awsbatch.wire import payload

__all__ = ["Changed", "OtherargsWatch", "changed_names", "digests"]

log = logging.getLogger(__name__)

# Pickling this much twice for each block takes about a millisecond.
WATCHED_BYTES: Final = 256 * 1024


@dataclasses.dataclass(frozen=True)
class Changed:
    """A block's outputs, if the function has changed its copy of the otherargs.

    Attributes:
        outputs: The outputs.
        names: What it has changed; see `changed_names`.
    """

    outputs: Any
    names: tuple[str, ...]


class OtherargsWatch:
    """Warns once, in main, if the function changes the otherargs. Not for several threads."""

    def __init__(self) -> None:
        self._otherargs: Any = None
        self._digests: dict[str, bytes] = {}
        self._mac = ""
        self._size = 0
        self._told = False

    @property
    def by_workers(self) -> bool:
        """Whether whoever computes a block on a copy of the otherargs should look for changes."""
        return not self._told and 0 < self._size <= WATCHED_BYTES

    def sent(self, otherargs: Any, mac: str, size: int) -> None:
        """Take note of the otherargs that are sent for a round.

        Args:
            otherargs: The script's own.
            mac: The name of their content, as it is now.
            size: How many bytes it has.
        """
        if otherargs is not self._otherargs:
            self._otherargs, self._digests = otherargs, digests(otherargs)
        elif mac != self._mac:
            self.look()
        self._mac, self._size = mac, size

    def look(self) -> None:
        """Warn if the otherargs are no longer as they were sent first."""
        if self._otherargs is not None and not self._told:
            self._tell(changed_names(self._digests, digests(self._otherargs)))

    def outputs_of(self, result: Any) -> Any:
        """Return a block's outputs; warn if it has changed its copy of the otherargs."""
        if not isinstance(result, Changed):
            return result
        self._tell(result.names)
        return result.outputs

    def close(self) -> None:
        """Look for the last time, and forget the otherargs."""
        self.look()
        self._otherargs = None

    def _tell(self, names: tuple[str, ...]) -> None:
        if not names or self._told:
            return
        self._told = True
        log.warning(
            "The function changes %s. With RIOS 1.4, only changes that it makes in the main "
            "script's own blocks remain; those in workers are lost, as with RIOS's own job "
            "managers. Compute such values from the output files, or use RIOS 2, which returns "
            "them in otherArgsList.",
            ", ".join(f"otherargs.{name}" if name else "otherargs" for name in names),
        )


def digests(otherargs: Any) -> dict[str, bytes]:
    """Return a digest of each attribute, or of the whole if there are none; never raises.

    Attributes are pickled one by one, because the pickle of a whole also depends on which strings
    of it happen to be one object.
    """
    parts = getattr(otherargs, "__dict__", None) or {"": otherargs}
    try:
        return {name: payload.digest(value, name) for name, value in parts.items()}
    except Exception:  # noqa: BLE001 - the attributes' classes are the user's code
        return {}


def changed_names(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the names of what differs, of what is new and of what is gone.

    Returns:
        The names; the empty string stands for the whole. Nothing, if nothing is known.
    """
    if not before or not after:
        return ()
    names = dict.fromkeys([*before, *after])
    differing = [name for name in names if before.get(name) != after.get(name)]
    return tuple(name for name in differing if name) or tuple(differing)
