"""The first contact: main compares what a worker runs on with what it runs on itself.

What cannot work ends the run before any task fails; what may give other results is told once.
"""

import logging
import threading
from typing import Final

from rios_plugin_awsbatch.errors import VersionMismatchError
from rios_plugin_awsbatch.records import Versions
from rios_plugin_awsbatch.wire.image_tag import Difference, differences, named_versions
from rios_plugin_awsbatch.wire.messages import WorkerNotice
from rios_plugin_awsbatch.wire.versions import find_versions

__all__ = ["FirstContact"]

log = logging.getLogger(__name__)

IMAGE: Final = "`rios-awsbatch image build` and `rios-awsbatch image push` make an image like main"
_NOT_COMPARED: Final = ("rios-plugin-awsbatch",)  # its messages tell whether it fits
_SHOWN: Final = {"gdal": "GDAL", "rios": "RIOS", "numpy": "numpy"}


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
        self._told: set[Difference] = set()

    def refusal(self, notice: WorkerNotice) -> VersionMismatchError | None:
        """Return why a worker that is ready cannot work for this main; warn of what differs."""
        theirs = notice.versions
        if theirs is None:
            return None
        with self._comparing:
            self._ours = ours = self._ours or find_versions()
            found = [
                one
                for one in differences(named_versions(theirs), named_versions(ours))
                if one.name not in _NOT_COMPARED
            ]
            news = [one for one in found if one not in self._told]
            self._told.update(news)
        decisive = next((one for one in found if one.decisive), None)
        if decisive is not None:
            return VersionMismatchError(f"{_reason(decisive)} [worker {notice.worker}: {theirs}]")
        if news:
            log.warning(
                "run=%s results may differ from those of main: worker %s has %s. %s%s.",
                self._run_id,
                notice.worker,
                ", ".join(f"{_SHOWN[one.name]} {one.image} (main: {one.here})" for one in news),
                IMAGE,
                _own_remedy(news),
            )
        return None


def _reason(difference: Difference) -> str:
    """Say why main and worker cannot work together, and what to do."""
    there, here = difference.image, difference.here
    if difference.name == "python":
        return (
            f"Main runs Python {here}, and the workers' image has Python {there}: functions can be "
            f"sent between equal minor versions only. {IMAGE}; or run the script in the image, "
            "with `rios-awsbatch submit`."
        )
    name = difference.name
    return (
        f"Main has {name} {here}, and the workers' image has {name} {there}: functions can be sent "
        f"between equal major versions only. {IMAGE}; or install the image's version here: "
        f'pip install "{name}=={there}".'
    )


def _own_remedy(differences: list[Difference]) -> str:
    """Say what to install in main instead; GDAL and RIOS do not come from PyPI."""
    numpy = next((one.image for one in differences if one.name == "numpy"), None)
    return "" if numpy is None else f'; for numpy, so does pip install "numpy=={numpy}" in main'
