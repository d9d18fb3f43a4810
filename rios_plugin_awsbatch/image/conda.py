"""conda's environment files: checked, and completed with what the image must have."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ImageError

__all__ = ["completed_environment"]

_KEY: Final = re.compile(r"(\w+):(.*)")
_ITEM: Final = re.compile(r"( *)- +['\"]?([A-Za-z0-9_.:/-]+)[^#]*?(?:#.*)?")
_PIP: Final = "pip:"


def completed_environment(path: Path, specs: Iterable[str]) -> str:
    """Return the text of an environment file, with more packages.

    micromamba reads the file. Only what `conda env export` writes is accepted here, a package a
    line, so that a mistake is told before anything is built.

    Args:
        path: The file.
        specs: conda's names and versions of the further packages.

    Raises:
        ImageError: The file cannot be read, or is not such a file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ImageError(f"conda's environment file {path} cannot be read: {why}.") from None
    at, indent = _first_dependency(path, lines)
    return "\n".join([*lines[:at], *(f"{indent}- {spec}" for spec in specs), *lines[at:], ""])


def _first_dependency(path: Path, lines: list[str]) -> tuple[int, str]:
    """Check the lines; return where the dependencies begin, and how they are indented."""
    key, first = "", None
    for number, line in enumerate(lines):
        text = line.partition(" #")[0].rstrip()
        if not text or text.startswith("#") or text == "---":
            continue
        found = _KEY.fullmatch(text)
        if found:
            key = found[1]
            if key != "dependencies" or not found[2].strip():
                continue
        item = _ITEM.fullmatch(text)
        if item is None or not key:
            raise ImageError(
                f"{path} is no environment file of conda: line {number + 1}, {text.strip()!r}, is "
                "not a package such as `- numpy=2.1`; write one package a line, below "
                "`dependencies:`."
            )
        if key == "dependencies" and first is None:
            first = (number, item[1])
    if first is None:
        raise ImageError(
            f"{path} is no environment file of conda: no package stands below `dependencies:`."
        )
    return first
