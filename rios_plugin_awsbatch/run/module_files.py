"""The files of a module or package that travel, and the rule of what is left out.

Left out are hidden files and folders (``.git``, ``.venv``), ``__pycache__``, virtual and conda
environments, and what ``.gitignore`` names. Files that main has imported always travel: a version
file or an extension module that a build has made is often ignored by Git.
"""

import dataclasses
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ModulesError
from rios_plugin_awsbatch.wire.runtime import ModuleFile

from .gitignore import GitIgnore

__all__ = ["Room", "read_file", "read_package"]

_MIB: Final = 1024 * 1024
_LEFT_OUT: Final = {"__pycache__", "node_modules"}
# Files and folders that only an environment has.
_ENVIRONMENT: Final = ("pyvenv.cfg", "conda-meta")


@dataclasses.dataclass
class Room:
    """How many bytes may travel, and how many do."""

    limit: int
    used: int = 0

    def take(self, name: str, path: Path, size: int) -> None:
        """Take a file's bytes.

        Raises:
            ModulesError: There is no room for it.
        """
        self.used += size
        if self.used > self.limit:
            raise ModulesError(
                f"Module {name} cannot travel to the workers: with {path} "
                f"({size / _MIB:.1f} MiB), your modules and their data have more than "
                f"{self.limit / _MIB:g} MiB (RIOS_AWSBATCH_MODULES_LIMIT, in bytes). Name what "
                "workers do not need in .gitignore, move data out of the package, or install the "
                "module in the workers' image and set RIOS_AWSBATCH_MODULES=none."
            )


def read_file(name: str, path: Path, room: Room) -> ModuleFile:
    """Return a file of module `name`.

    Raises:
        ModulesError: It cannot be read, or there is no room for it.
    """
    try:
        status = path.stat()
        room.take(name, path, status.st_size)
        return ModuleFile(path.read_bytes(), executable=bool(status.st_mode & stat.S_IXUSR))
    except OSError as error:
        raise ModulesError(
            f"Module {name} cannot travel to the workers: {path} cannot be read "
            f"({error.strerror}). Make it readable, or name it in .gitignore."
        ) from error


def read_package(
    name: str, folder: Path, imported: Collection[Path], room: Room
) -> dict[str, ModuleFile]:
    """Return the files of a package that travel, by their path below `folder`, with slashes.

    Args:
        name: The package.
        folder: Its folder.
        imported: Files that main has imported.
        room: Where their bytes are counted.

    Raises:
        ModulesError: A file cannot be read, or there is no room for it.
    """
    paths = {*_walk(folder)}
    paths.update(path for path in imported if folder in path.parents)
    return {
        path.relative_to(folder).as_posix(): read_file(name, path, room)
        for path in sorted(paths)
        if _writable(path)
    }


def _walk(folder: Path) -> Iterator[Path]:
    ignored = GitIgnore(folder)
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link leads to where we have been
            folders.clear()
            continue
        seen.add(real)
        if place != str(folder):
            ignored.read(Path(place))
        folders[:] = sorted(one for one in folders if _travels(place, one, ignored, is_folder=True))
        for one in names:
            path = Path(place, one)
            if _travels(place, one, ignored, is_folder=False) and path.is_file():
                yield path


def _travels(place: str, name: str, ignored: GitIgnore, *, is_folder: bool) -> bool:
    path = os.path.join(place, name)  # noqa: PTH118 - pathlib is slow, and there may be many
    if name.startswith(".") or name in _LEFT_OUT:
        return False
    if is_folder and any(os.path.lexists(os.path.join(path, one)) for one in _ENVIRONMENT):  # noqa: PTH118 - as above
        return False
    return not ignored.names(path, is_folder=is_folder)


def _writable(path: Path) -> bool:
    """Return whether a zip archive can hold the name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return "\\" not in str(path)
