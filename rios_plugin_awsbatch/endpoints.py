"""What has to end before the AWS that it is on does.

Runs know nothing of the embedded AWS, and that knows nothing of runs: both know this module.
"""

from collections.abc import Callable
from typing import Final

__all__ = ["before_end", "end_all_on"]

_ENDERS: Final[list[Callable[[str], None]]] = []


def before_end(ender: Callable[[str], None]) -> None:
    """Have a function called with the URL of each endpoint that is about to end."""
    _ENDERS.append(ender)


def end_all_on(endpoint: str) -> None:
    """End what this process has on the AWS at an URL."""
    for ender in _ENDERS:
        ender(endpoint)
