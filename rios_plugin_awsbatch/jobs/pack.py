"""What travels to a main job, in one archive: a script, its folder, requirements, variables."""

import dataclasses
import gzip
import io
import os
import secrets
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from rios_plugin_awsbatch.errors import SubmissionError

from .files import FILES, MANIFEST, REQUIREMENTS, Manifest, digest_of

__all__ = ["Script", "pack", "script_at"]

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
    """A script and what travels with it; `script_at` makes one of what is there.

    Attributes:
        path: The script, in a resolved folder.
        arguments: Its arguments.
        folder: A folder that holds the script and travels with it; None for the script alone.
        requirements: pip's list of requirements, for the script and for the workers.
    """

    path: Path
    arguments: tuple[str, ...] = ()
    folder: Path | None = None
    requirements: Path | None = None


def script_at(
    path: Path,
    arguments: tuple[str, ...] = (),
    folder: Path | None = None,
    requirements: Path | None = None,
) -> Script:
    """Return a script whose files are there, before AWS is asked for anything.

    Args:
        path: The script.
        arguments: Its arguments.
        folder: A folder that holds it, if that is to travel too.
        requirements: pip's list of requirements, if there is one.

    Raises:
        SubmissionError: Something is missing.
    """
    found = _file(path, "The script")
    if requirements is not None:
        requirements = _file(requirements, "The list of requirements")
    if folder is None:
        return Script(found, arguments, None, requirements)
    if not folder.is_dir():
        raise SubmissionError(f"There is no folder {folder}.")
    if folder.resolve() not in found.parents:
        raise SubmissionError(
            f"{path} is not in {folder}; the folder that travels must hold the script."
        )
    return Script(found, arguments, folder.resolve(), requirements)


def pack(
    script: Script, archive: IO[bytes], variables: Mapping[str, str] | None = None
) -> tuple[str, int]:
    """Write what travels into an archive.

    Args:
        script: From `script_at`.
        archive: An empty file, open for reading and writing.
        variables: The script's environment variables.

    Returns:
        The archive's SHA-256 in hexadecimal digits, and its size in bytes.

    Raises:
        SubmissionError: A file cannot be read, or cannot travel.
    """
    folder = script.folder or script.path.parent
    name = script.path.relative_to(folder).as_posix()
    salt = secrets.token_hex() if variables else ""
    manifest = Manifest(name, script.arguments, variables or {}, salt)
    try:
        # Neither a name nor a time in gzip's header: the same files make the same archive.
        with (
            gzip.GzipFile(fileobj=archive, mode="wb", filename="", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", dereference=True) as tar,
        ):
            _add_bytes(tar, MANIFEST, manifest.to_json())
            if script.requirements is not None:
                _add_bytes(tar, REQUIREMENTS, script.requirements.read_bytes())
            for file in [script.path] if script.folder is None else _files_in(folder):
                name = f"{FILES}/{file.relative_to(folder).as_posix()}"
                tar.add(file, name, recursive=False, filter=_anonymous)
    except OSError as error:
        raise SubmissionError(
            f"{error.filename or script.path} cannot be read: {error.strerror}."
        ) from error
    size = archive.seek(0, os.SEEK_END)
    return digest_of(archive), size


def _file(path: Path, what: str) -> Path:
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise SubmissionError(f"{what} {path} {problem}.")
    # Resolve the folder, not the name: a link to a script runs under its own name.
    return path.parent.resolve() / path.name


def _files_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in folders:
            if (here / name).is_symlink():
                raise SubmissionError(
                    f"{here / name} is a link to a folder, which cannot travel; copy it, or move "
                    "it away."
                )
        for name in sorted(names):
            path = here / name
            if not stat.S_ISREG(path.stat().st_mode):
                raise SubmissionError(
                    f"{path} is a socket, a pipe or a device, which cannot travel."
                )
            yield path


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Drop the owner, who does not exist in the job."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
