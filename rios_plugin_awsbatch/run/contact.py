"""The first contact: main compares what a worker runs on with what it runs on itself.

What cannot work ends the run before any task fails; what may give other results is told once.
"""

import logging
import re
import threading
from typing import Final

from rios_plugin_awsbatch.errors import VersionMismatchError
from rios_plugin_awsbatch.records import Versions
from rios_plugin_awsbatch.wire.messages import WorkerNotice
from rios_plugin_awsbatch.wire.versions import find_versions

__all__ = ["FirstContact"]

log = logging.getLogger(__name__)

IMAGE: Final = "`rios-awsbatch image build` and `rios-awsbatch image push` make an image like main"
_NUMBERS: Final = re.compile(r"\d+")


class FirstContact:
    """Compares, for any thread.

    Args:
        run_id: The run's id.
        ours: Main's versions; those of this process if not given.
    """

    def __init__(self, run_id: str, ours: Versions | None = None) -> None:
        self._run_id = run_id
        self._comparing = threading.Lock()  # guards all that follows
        self._ours = ours
        self._told: set[tuple[str, str]] = set()

    def refusal(self, notice: WorkerNotice) -> VersionMismatchError | None:
        """Return why a worker that is ready cannot work for this main; warn of what differs."""
        theirs = notice.versions
        if theirs is None:
            return None
        with self._comparing:
            self._ours = ours = self._ours or find_versions()
            differences = [
                (what, there, here)
                for what, there, here in _differences(theirs, ours)
                if (what, there) not in self._told
            ]
            self._told.update((what, there) for what, there, _ in differences)
        sentence = _reason(theirs, ours)
        if sentence:
            return VersionMismatchError(f"{sentence} [worker {notice.worker}: {theirs}]")
        if differences:
            listed = ", ".join(
                f"{what} {there} (main: {here})" for what, there, here in differences
            )
            log.warning(
                "run=%s results may differ from those of main: worker %s has %s. %s%s.",
                self._run_id,
                notice.worker,
                listed,
                IMAGE,
                _own_remedy(differences),
            )
        return None


def _reason(theirs: Versions, ours: Versions) -> str:
    """Say why main and worker cannot work together, and what to do; empty if they can."""
    if _release(theirs.python, 2) != _release(ours.python, 2):
        return (
            f"Main runs Python {ours.python}, and the workers' image has Python {theirs.python}: "
            f"functions can be sent between equal minor versions only. {IMAGE}; or run the script "
            "in the image, with `rios-awsbatch submit`."
        )
    if _release(theirs.cloudpickle, 1) != _release(ours.cloudpickle, 1):
        return (
            f"Main has cloudpickle {ours.cloudpickle}, and the workers' image has cloudpickle "
            f"{theirs.cloudpickle}: functions can be sent between equal major versions only. "
            f"{IMAGE}; or install the image's version here: pip install \"cloudpickle=="
            f'{theirs.cloudpickle}".'
        )
    return ""


def _differences(theirs: Versions, ours: Versions) -> list[tuple[str, str, str]]:
    """Return what may give other results: its name, its version there, and here."""
    compared = (
        ("GDAL", theirs.gdal, ours.gdal, 2),
        ("RIOS", theirs.rios, ours.rios, 2),
        ("numpy", theirs.numpy, ours.numpy, 1),
    )
    return [
        (name, there, here)
        for name, there, here, numbers in compared
        if there and here and _release(there, numbers) != _release(here, numbers)
    ]


def _own_remedy(differences: list[tuple[str, str, str]]) -> str:
    """Say what to install in main instead; GDAL and RIOS do not come from PyPI."""
    numpy = next((there for what, there, _ in differences if what == "numpy"), None)
    return "" if numpy is None else f'; for numpy, so does pip install "numpy=={numpy}" in main'


def _release(version: str, numbers: int) -> tuple[int, ...]:
    """Return the first numbers of a version."""
    return tuple(map(int, _NUMBERS.findall(version)[:numbers]))
