"""`Control`: what tests may do to an embedded AWS that no client of AWS can."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from .options import CONTROL

__all__ = ["Control"]

_ALL_PLACES = 1_000_000


class Control:
    """Orders to an embedded AWS, for tests: what happens is exact, and not left to chance.

    Args:
        endpoint: The URL of the embedded AWS.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once, where AWS counts hours.

        Hidden and delayed messages become visible, messages reach the end of their 12 hours, jobs
        their timeouts, and names of deleted queues are free again. The objects in S3 are older
        afterwards. The clocks of clients go on as they do.
        """
        self._order("advance", seconds=seconds)

    def reclaim(self, job: str, *, grace: float = 1.0) -> None:
        """Take the machine of a running job, or those of all of an array's children.

        Args:
            job: The job's id, a child's, or that of an array.
            grace: Seconds between SIGTERM and SIGKILL.
        """
        self._order("reclaim", job=job, grace=grace)

    def vanish(self, job: str) -> None:
        """Take the machine of a running job, or those of an array's children, without SIGTERM."""
        self._order("reclaim", job=job, grace=0.0)

    @contextlib.contextmanager
    def occupied(self, places: int = _ALL_PLACES) -> Iterator[None]:
        """Let jobs of others hold so many places, or all, inside the context.

        Jobs that run go on; others stay RUNNABLE.
        """
        self._order("occupy", places=places)
        try:
            yield
        finally:
            self._order("occupy", places=0)

    @contextlib.contextmanager
    def odds(self, **traits: tuple[float, float, float]) -> Iterator[None]:
        """Be unkind in these ways only, inside the context; without any, be kind.

        Args:
            traits: By the names of traits in `unkind`, with ``_`` for spaces: the chance, and the
                least and the most seconds that it lasts.
        """
        self._order("odds", odds={name.replace("_", " "): odds for name, odds in traits.items()})
        try:
            yield
        finally:
            self._order("odds", odds=None)

    def _order(self, name: str, **arguments: Any) -> None:
        body: Mapping[str, Any] = arguments
        request = urllib.request.Request(  # noqa: S310 - the server of ours, on loopback
            f"{self._endpoint}{CONTROL}{name}", data=json.dumps(body).encode(), method="POST"
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
            pass
