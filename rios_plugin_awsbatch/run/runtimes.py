"""The runtime that goes with a function: the modules and variables that it needs in a worker."""

import functools
import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from rios_plugin_awsbatch.settings import Settings
from rios_plugin_awsbatch.wire.messages import Payload
from rios_plugin_awsbatch.wire.runtime import pack_runtime
from rios_plugin_awsbatch.wire.variables import env_items, is_gdal_variable, resolved

from .luck import warn_of_packages
from .modules import LocalModules

__all__ = ["SUBMITTED_FILES", "Runtimes"]

log = logging.getLogger(__name__)

# Set for the script of a main job: the folder of files that workers fetch themselves.
SUBMITTED_FILES: Final = "RIOS_AWSBATCH_SUBMITTED_FILES"


class Runtimes:
    """The runtimes of one run: that of each function is made when the function is shared.

    Args:
        settings: Say which modules and variables.
        architecture: That of the workers' machines; empty if not known.

    Raises:
        ModulesError: A module cannot travel.
        SettingsError: A variable has no value.
    """

    def __init__(self, settings: Settings, architecture: str = "") -> None:
        self._env = env_items(settings.env)
        self._modules = LocalModules(
            settings.modules,
            settings.modules_limit,
            os.environ.get(SUBMITTED_FILES),
            architecture,
        )
        self._lock = threading.Lock()  # guards all that follows, and `_modules`
        self._last: tuple[object, object] = ({}, {})  # what `_packed` has
        self._packed: bytes | None = None
        self._by_function: dict[str, Payload | None] = {}
        self.packed()
        # The image of a main job is mostly that of its workers too, and has set them.
        if not self._env and "AWS_BATCH_JOB_ID" not in os.environ:
            _warn_of(tuple(sorted(filter(_is_gdals, os.environ))))

    def packed(self) -> bytes | None:
        """Return the runtime as it is now; None if a worker needs nothing.

        Raises:
            ModulesError: A module cannot travel.
            SettingsError: A variable has no value.
        """
        with self._lock:
            variables = resolved(self._env, os.environ)
            files = self._modules.files()
            if self._last != (files, variables):
                self._last = files, variables
                self._packed = pack_runtime(files, variables) if files or variables else None
            return self._packed

    def note(self, function: str, pickled: bytes, store: Callable[[bytes], Payload]) -> None:
        """Have the runtime of now go with a function.

        Args:
            function: The function's MAC.
            pickled: The function.
            store: Stores a runtime, once.
        """
        packed = self.packed()
        runtime = None if packed is None else store(packed)
        with self._lock:
            new = function not in self._by_function
            self._by_function[function] = runtime
            files = self._modules.files()
        if new:
            texts = (file.content for name, file in files.items() if name.endswith(".py"))
            warn_of_packages(pickled, texts)

    def of(self, function: Payload) -> Payload | None:
        """Return the runtime that goes with a function."""
        with self._lock:
            return self._by_function.get(function.mac)


def _is_gdals(name: str) -> bool:
    return is_gdal_variable(name, os.environ[name])


@functools.cache  # once is enough
def _warn_of(unsent: tuple[str, ...]) -> None:
    """Say which variables stay here, although a worker may need them."""
    if unsent:
        log.warning(
            "%s: set here, but not in the workers. Set RIOS_AWSBATCH_ENV=gdal to send GDAL's "
            "variables, or RIOS_AWSBATCH_ENV to the names of those that the workers need.",
            ", ".join(unsent),
        )
