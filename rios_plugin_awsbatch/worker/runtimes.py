"""The runtime of the process that computes: main's modules, unpacked, and its variables."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ModulesError
from rios_plugin_awsbatch.wire.runtime import MODULES, unpack_runtime

__all__ = ["NO_RUNTIME", "Runtime"]


class Runtime:
    """A runtime that main has sent, in a folder of its own; `close` deletes that.

    Args:
        name: Its name: equal runtimes have the same.
        data: Its bytes, authenticated; None for an empty runtime.

    Attributes:
        name: See above.
        variables: Environment variables.
        modules: The folder for the path of the process; None if there are no modules.

    Raises:
        PayloadError: It is damaged.
        ModulesError: It cannot be unpacked here.
    """

    def __init__(self, name: str = "", data: bytes | None = None) -> None:
        self.name = name
        self.variables: dict[str, str] = {}
        self.modules: str | None = None
        self._folder: Path | None = None
        if data is None:
            return
        try:
            with contextlib.ExitStack() as undo:
                self._folder = Path(tempfile.mkdtemp(prefix="runtime-"))
                undo.callback(self.close)
                self.variables = unpack_runtime(data, self._folder)
                undo.pop_all()
        except OSError as error:
            raise ModulesError(
                f"The modules that main has sent cannot be unpacked in {tempfile.gettempdir()}: "
                f"{error.strerror}. Give the workers more disk, or send less."
            ) from error
        modules = self._folder / MODULES
        self.modules = str(modules) if any(modules.iterdir()) else None

    def close(self) -> None:
        """Delete the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


NO_RUNTIME: Final = Runtime()
