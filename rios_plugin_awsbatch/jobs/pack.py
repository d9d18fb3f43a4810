"""What travels to a main job: a script, the folder that it is in, a list of requirements; packed into one archive."""

import dataclasses
import gzip
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from rios_plugin_awsbatch.errors import SubmissionError

from .files import FILES, MANIFEST, REQUIREMENTS, Manifest, digest_of

__all__ = ["Script", "check", "pack"]

_SKIPPED: Final = {
    "__pycache__",
    ".git",
    ".hg",
    ".svn",
    ".venv",
    ".tox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}


@dataclasses.dataclass(frozen=True)
class Script:
    """What travels.

    Attributes:
        path: The script.
        arguments: Its arguments.
        folder: A folder that goes with it and holds it; the script alone, if not given.
        requirements: A pip list of requirements, for the script and for the workers.
    """

    path: Path
    arguments: tuple[str, ...] = ()
    folder: Path | None = None
    requirements: Path | None = None


def check(script: Script) -> None:
    """Raise SubmissionError for what is missing here, before AWS is asked for anything."""
    _file(script.path, "The script")
    if script.requirements is not None:
        _file(script.requirements, "The list of requirements")
    if script.folder is not None and not script.folder.is_dir():
        raise SubmissionError(f"There is no folder {script.folder}.")


def pack(script: Script, archive: IO[bytes]) -> tuple[str, int]:
    """Write what travels into an archive.

    Returns:
        Its SHA-256 and its size.

    Raises:
        SubmissionError: Something is missing, unreadable, or cannot travel.
    """
    check(script)
    path = _file(script.path, "The script")
    requirements = (
        None
        if script.requirements is None
        else _file(script.requirements, "The list of requirements")
    )
    folder = path.parent
    if script.folder is not None:
        folder = script.folder.resolve()
        if folder not in path.parents:
            raise SubmissionError(
                f"{script.path} is not in {script.folder}; the folder that travels must hold the script."
            )
    manifest = Manifest(path.relative_to(folder).as_posix(), script.arguments)
    try:
        # No names and times in the gzip header.
        with (
            gzip.GzipFile(fileobj=archive, mode="wb", filename="", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", dereference=True) as tar,
        ):
            _add_bytes(tar, MANIFEST, manifest.to_json())
            if requirements is not None:
                _add_bytes(tar, REQUIREMENTS, requirements.read_bytes())
            for file in [path] if script.folder is None else _files_in(folder):
                tar.add(
                    file,
                    f"{FILES}/{file.relative_to(folder).as_posix()}",
                    recursive=False,
                    filter=_anonymous,
                )
    except OSError as error:
        raise SubmissionError(
            f"{error.filename or script.path} cannot be read: {error.strerror}."
        ) from error
    size = archive.seek(0, os.SEEK_END)
    return digest_of(archive), size


def _file(path: Path, what: str) -> Path:
    if not path.is_file():
        raise SubmissionError(
            f"{what} {path} {'is a folder' if path.is_dir() else 'does not exist'}."
        )
    # The folder resolved, not the name: a link to a script is run under its own name.
    return path.parent.resolve() / path.name


def _files_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in folders:
            if (here / name).is_symlink():
                raise SubmissionError(
                    f"{here / name} is a link to a folder, which cannot travel; copy it, or move it away."
                )
        for name in sorted(names):
            path = here / name
            if not stat.S_ISREG(path.stat().st_mode):
                raise SubmissionError(
                    f"{path} is no file that can travel (a socket, a pipe or a device)."
                )
            yield path


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owns a file here; nobody there has that name."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
