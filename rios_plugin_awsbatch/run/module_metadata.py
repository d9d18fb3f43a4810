"""The metadata of modules that travel, with which ``importlib.metadata.version`` finds them."""

import contextlib
import functools
import importlib.metadata
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from rios_plugin_awsbatch.wire.runtime import ModuleFile

__all__ = ["metadata_of"]

_INSTALLED: Final = {"site-packages", "dist-packages"}
_TEXTS: Final = {"METADATA": "METADATA", "PKG-INFO": "METADATA", "entry_points.txt": ""}


def metadata_of(name: str, places: Iterable[Path]) -> dict[str, ModuleFile]:
    """Return the files of a distribution's metadata, if a module belongs to one.

    Args:
        name: The module's name.
        places: Its folder, or its file.
    """
    # A virtual environment often stands in the folder of a project.
    own = [place for place in places if _INSTALLED.isdisjoint(place.parts)]
    folders = {folder for place in own for folder in (place, *place.parents)}
    found = [one for root, one in _editable() if root in folders]
    if not found:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
            found = [importlib.metadata.distribution(name)]
    return {path: file for one in found for path, file in _files(one)}


@functools.cache
def _editable() -> tuple[tuple[Path, importlib.metadata.Distribution], ...]:
    """Return the distributions that are not in site-packages, with their folders."""
    return tuple(
        (root, one)
        for one in importlib.metadata.distributions()
        if (root := _root(one)) is not None
    )


def _root(distribution: importlib.metadata.Distribution) -> Path | None:
    text = distribution.read_text("direct_url.json")
    if text is not None:
        with contextlib.suppress(ValueError, KeyError, AttributeError):
            origin = json.loads(text)
            if origin.get("dir_info", {}).get("editable"):
                return Path(unquote(urlsplit(origin["url"]).path))
    folder = Path(str(distribution.locate_file("")))
    return folder.absolute() if _INSTALLED.isdisjoint(folder.parts) else None


def _files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, ModuleFile]]:
    metadata = distribution.metadata
    folder = f"{metadata['Name']}-{metadata['Version']}.dist-info".replace("/", "-")
    for source, target in _TEXTS.items():
        text = distribution.read_text(source)
        if text:
            yield f"{folder}/{target or source}", ModuleFile(text.encode(errors="replace"))
