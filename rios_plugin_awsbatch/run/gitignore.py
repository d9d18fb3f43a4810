"""What ``.gitignore`` files name, as Git reads them."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["GitIgnore"]

_NAME: Final = ".gitignore"
_INSTALLED: Final = {"site-packages", "dist-packages"}
_TOKEN: Final = re.compile(r"\*\*/|/\*\*\Z|\*+|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class _Rule:
    folder: str  # of the file that has the rule
    pattern: re.Pattern[str]
    folders_only: bool
    ignores: bool

    def matches(self, path: str, *, is_folder: bool) -> bool:
        if self.folders_only and not is_folder:
            return False
        relative = os.path.relpath(path, self.folder).replace(os.sep, "/")
        return self.pattern.fullmatch(relative) is not None


class GitIgnore:
    """The rules that hold in a folder and, as far as they were read, in those below it.

    Args:
        folder: The folder. The rules of the folders above it hold too, up to that of the
            repository; if there is none, those of the next one above. An environment in a
            repository is ignored as a whole, which says nothing of what is installed there.
    """

    def __init__(self, folder: Path) -> None:
        self._rules: list[_Rule] = []
        above = [folder, *folder.parents]
        stops = (one for one in above if one.parent.name in _INSTALLED or (one / ".git").exists())
        root = next(stops, folder.parent)
        for one in reversed(above[: above.index(root) + 1]):
            self.read(one)

    def read(self, folder: Path) -> None:
        """Read the rules of a folder; those of the folders above it must have been read."""
        try:
            text = (folder / _NAME).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        self._rules.extend(_rules(text, str(folder)))

    def names(self, path: str, *, is_folder: bool) -> bool:
        """Return whether a path is ignored; the last rule that matches counts."""
        matching = (rule for rule in reversed(self._rules) if self._applies(rule, path))
        for rule in matching:
            if rule.matches(path, is_folder=is_folder):
                return rule.ignores
        return False

    @staticmethod
    def _applies(rule: _Rule, path: str) -> bool:
        return path.startswith(rule.folder.rstrip(os.sep) + os.sep)


def _rules(text: str, folder: str) -> Iterator[_Rule]:
    for line in text.splitlines():
        pattern = re.sub(r"(?<!\\)\s+\Z", "", line)
        if not pattern or pattern.startswith("#"):
            continue
        ignores = not pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        folders_only = pattern.endswith("/")
        pattern = pattern.removesuffix("/")
        # With a slash in it, it is relative to the folder; else it names files at any depth.
        anywhere = "" if "/" in pattern else "(?:.*/)?"
        regex = anywhere + _TOKEN.sub(_translated, pattern.removeprefix("/"))
        with contextlib.suppress(re.error):  # Git matches nothing with it either
            yield _Rule(folder, re.compile(regex, re.DOTALL), folders_only, ignores)


def _translated(token: re.Match[str]) -> str:
    text = token[0]
    if text == "**/":
        return "(?:.*/)?"
    if text == "/**":
        return "/.+"
    if text.startswith("*"):
        return "[^/]*"
    if text == "?":
        return "[^/]"
    if text.startswith("[") and len(text) > 1:
        inside = text[1:-1]
        negated = inside.startswith("!")
        escaped = inside.removeprefix("!").replace("\\", r"\\").replace("[", r"\[")
        return f"[{'^' if negated else ''}{escaped}]"
    return re.escape(text.removeprefix("\\") or "\\")
