"""The ``apply`` that a task of RIOS belongs to: what it sees of main, and what a worker keeps.

A worker outlives an ``apply``, and what it remembers must not. Files that are open, vectors that
were rasterized, and GDAL's caches of remote files show the inputs as they were. The environment and
the working folder may be as a function has left them.
"""

import contextlib
import dataclasses
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator

from .process_state import ProcessState, current_state

__all__ = ["ApplyContext", "close_with_apply", "log_withheld"]

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ApplyContext:
    """What all tasks of an ``apply`` have in common; it travels with the function.

    The id makes the function's content differ from that of every other ``apply``. So a worker
    unpickles it anew, and no global of it has a value that an earlier ``apply`` has left there.
    (Classes of the script stay the same: cloudpickle keeps them for as long as they live.)

    Attributes:
        apply_id: The id of the ``apply``.
        state: The state of main's process.
    """

    apply_id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))
    state: ProcessState = dataclasses.field(default_factory=current_state)

    def updated(self) -> "ApplyContext":
        """Return the context with the state of now; the same object if that has not changed."""
        state = current_state()
        return self if state == self.state else dataclasses.replace(self, state=state)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Forget what belongs to another ``apply``, and reproduce main's state for a task."""
        _kept.enter(self.apply_id)
        with self.state.reproduced():
            yield


class _Kept:
    """What this process keeps for the ``apply`` whose task it computed last."""

    def __init__(self) -> None:
        self._apply_id = ""
        self._closing: list[Callable[[], None]] = []
        self._at_first: _Surroundings | None = None

    def enter(self, apply_id: str) -> None:
        """Close what another ``apply`` has opened, and empty GDAL's caches of remote files."""
        if apply_id == self._apply_id:
            return
        self._apply_id = apply_id
        while self._closing:
            self._close(self._closing.pop())
        gdal = sys.modules.get("osgeo.gdal")
        if gdal is not None and hasattr(gdal, "VSICurlClearCache"):
            gdal.VSICurlClearCache()
        if self._at_first is None:
            self._at_first = _Surroundings()
        self._at_first.restore()

    def add(self, close: Callable[[], None]) -> None:
        """Call `close` when a task of another ``apply`` comes."""
        self._closing.append(close)

    @staticmethod
    def _close(close: Callable[[], None]) -> None:
        try:
            close()
        except Exception:  # it is not the fault of the task that comes now
            log.exception("what an earlier apply has left could not be closed")


class _Surroundings:
    """The environment and the working folder of this process, as they are now."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._folder = os.path.realpath(".")

    def restore(self) -> None:
        """Have them as they were."""
        for name in os.environ.keys() - self._environment.keys():
            del os.environ[name]
        os.environ.update(self._environment)
        with contextlib.suppress(OSError):  # a function has deleted it
            os.chdir(self._folder)


_kept = _Kept()  # GDAL's caches belong to the process, so this does too; one thread computes


def close_with_apply(close: Callable[[], None]) -> None:
    """Have `close` called when this process gets a task of another ``apply``."""
    _kept.add(close)


def log_withheld(state: ProcessState, consequence: str = "") -> None:
    """Log which of GDAL's options stay in main, if any do."""
    if state.withheld:
        log.warning(
            "GDAL's options %s look like credentials, so they do not travel to the workers%s",
            ", ".join(state.withheld),
            consequence,
        )
