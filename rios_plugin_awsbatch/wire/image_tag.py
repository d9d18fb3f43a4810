"""What is in an image: its versions as a tag, and how they differ from main's."""

import dataclasses
import importlib
import importlib.metadata
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from rios_plugin_awsbatch._version import __version__

__all__ = ["DECISIVE", "Difference", "differences", "image_tag", "versions_here", "versions_in"]

# Distribution -> its name in the tag.
_TAGGED: Final = {
    "python": "py",
    "numpy": "numpy",
    "gdal": "gdal",
    "rios": "rios",
    "cloudpickle": "cloudpickle",
    "rios-plugin-awsbatch": "awsbatch",
}
_IN_TAG: Final = re.compile(rf"(?:^|-)({'|'.join(_TAGGED.values())})(\d[^-]*)")
# Without the same, workers cannot read what main sends.
DECISIVE: Final = ("python", "cloudpickle")
# How many numbers of a version must be the same; all others must be the same altogether.
_COMPARED: Final = {"python": 2, "cloudpickle": 1, "numpy": 1, "gdal": 2}


@dataclasses.dataclass(frozen=True)
class Difference:
    """A version of an image that differs from main's.

    Attributes:
        name: Of what.
        image: The version in the image.
        here: The version here.
    """

    name: str
    image: str
    here: str

    @property
    def decisive(self) -> bool:
        """Whether workers cannot read what main sends."""
        return self.name in DECISIVE

    def __str__(self) -> str:
        name = "Python" if self.name == "python" else self.name
        return f"{name} {self.image}, and here it is {self.here}"


def versions_here(names: Iterable[str] = tuple(_TAGGED)) -> dict[str, str]:
    """Return the versions that are installed here; what is not installed is left out."""
    found = {name: _version(name) for name in names}
    return {name: version for name, version in found.items() if version}


def _version(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    if name == "rios-plugin-awsbatch":
        return __version__
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    if name != "rios":
        return None
    try:  # RIOS can also be a folder on the path
        return str(importlib.import_module(name).RIOS_VERSION)
    except ImportError:
        return None


def image_tag(versions: Mapping[str, str]) -> str:
    """Return a tag that tells versions, as in ``py3.12.3-numpy2.3.1-gdal3.10.3``."""
    parts = (f"{tagged}{versions[name]}" for name, tagged in _TAGGED.items() if name in versions)
    # A local version has a plus, and a development version may have a hyphen.
    return "-".join(part.replace("+", "_").replace("-", "_") for part in parts)


def versions_in(tag: str) -> dict[str, str]:
    """Return the versions that an image's tag tells; none if it is not one of `image_tag`'s."""
    names = {tagged: name for name, tagged in _TAGGED.items()}
    found = {names[tagged]: version for tagged, version in _IN_TAG.findall(tag)}
    return found if "python" in found else {}


def differences(image: Mapping[str, str], here: Mapping[str, str]) -> Iterator[Difference]:
    """Yield what differs enough to matter, of what both have; the decisive ones first.

    Args:
        image: The versions in an image.
        here: The versions here.
    """
    both = [name for name in _TAGGED if name in image and name in here]
    for name in sorted(both, key=lambda name: name not in DECISIVE):
        numbers = _COMPARED.get(name)
        ours, theirs = here[name].replace("+", "_").replace("-", "_"), image[name]
        if ours.split(".")[:numbers] != theirs.split(".")[:numbers]:
            yield Difference(name, theirs, here[name])
