"""Orders of tests to the server: put the clock forward, take machines away, change the odds.

A layer of the server. The client's side is `control`.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from moto.s3.models import s3_backends

from .clock import Clock
from .options import CONTROL
from .scheduler import Scheduler
from .unkind import Unkindness

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Orders", "taking_orders"]


class Orders:
    """Carries orders out.

    Args:
        clock: The clock to put forward.
        scheduler: Has the jobs.
        unkindness: Has the odds.
    """

    def __init__(self, clock: Clock, scheduler: Scheduler, unkindness: Unkindness) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._unkindness = unkindness

    def advance(self, seconds: float) -> None:
        """Put the clock forward, and make all objects in S3 older."""
        self._clock.advance(seconds)
        by = dt.timedelta(seconds=seconds)
        for account in s3_backends.values():
            for backend in account.values():
                for bucket in backend.buckets.values():
                    for key in bucket.keys.values():
                        key.last_modified -= by

    def reclaim(self, job: str, grace: float) -> None:
        """Take the machine of a job, or those of an array's children."""
        found = self._scheduler.find(job)
        if found is not None:
            self._scheduler.reclaim(found, grace)

    def occupy(self, places: int) -> None:
        """Let jobs of others hold places of each compute environment."""
        self._scheduler.occupy(places)

    def odds(self, odds: dict[str, Any] | None) -> None:
        """Change the odds of traits."""
        self._unkindness.set_odds(odds)


def taking_orders(app: "WSGIApplication", orders: Orders) -> "WSGIApplication":
    """Return the application, with the path `CONTROL` in front of it."""

    def answered(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(CONTROL):
            return app(environ, start_response)
        known: dict[str, Callable[..., None]] = {
            "advance": orders.advance,
            "reclaim": orders.reclaim,
            "occupy": orders.occupy,
            "odds": orders.odds,
        }
        order = known.get(path.removeprefix(CONTROL))
        if order is None:
            return _answer(start_response, "404 Not Found", f"no such order; there are {[*known]}")
        try:
            order(**json.loads(environ["wsgi.input"].read()))
        except (KeyError, TypeError, ValueError) as error:
            return _answer(start_response, "400 Bad Request", repr(error))
        return _answer(start_response, "200 OK", "done")

    return answered


def _answer(start_response: "StartResponse", status: str, text: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain")])
    return [text.encode()]
