"""What an image or a worker has: its versions as a tag, and how they differ from main's."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from rios_plugin_awsbatch.records import Versions

from .versions import find_versions

__all__ = [
    "DECISIVE",
    "Difference",
    "differences",
    "image_tag",
    "named_versions",
    "versions_here",
    "versions_in",
]

# Distribution -> its name in the tag.
_TAGGED: Final = {
    "python": "py",
    "numpy": "numpy",
    "gdal": "gdal",
    "rios": "rios",
    "cloudpickle": "cloudpickle",
    "rios-plugin-awsbatch": "awsbatch",
}
# Distribution -> the field of `Versions`.
_FIELDS: Final = {
    **{name: name for name in ("python", "numpy", "gdal", "rios", "cloudpickle")},
    "rios-plugin-awsbatch": "package",
}
_IN_TAG: Final = re.compile(rf"(?:^|-)({'|'.join(_TAGGED.values())})(\d[^-]*)")
# Without the same, workers cannot read what main sends.
DECISIVE: Final = ("python", "cloudpickle")
# How many numbers of a version must be the same; this package's must be the same altogether.
_COMPARED: Final = {"python": 2, "cloudpickle": 1, "numpy": 1, "gdal": 2, "rios": 2}


@dataclasses.dataclass(frozen=True)
class Difference:
    """A version of an image, or of a worker, that differs from main's.

    Attributes:
        name: Of what.
        image: The version there.
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


def named_versions(versions: Versions) -> dict[str, str]:
    """Return versions by the names of their distributions, without those that are not known."""
    known = vars(versions)
    return {name: known[field] for name, field in _FIELDS.items() if known[field]}


def versions_here(names: Iterable[str] = tuple(_TAGGED)) -> dict[str, str]:
    """Return the versions here; what is not installed is left out."""
    here = named_versions(find_versions())
    return {name: here[name] for name in names if name in here}


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
