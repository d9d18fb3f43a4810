"""What works on the embedded AWS by luck: its workers share main's disk, and main's packages."""

import functools
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .modules import is_installed, top_levels_in

__all__ = ["EMBEDDED", "warn_of_packages", "warn_of_paths"]

log = logging.getLogger(__name__)

# The embedded AWS sets it for those who use it.
EMBEDDED: Final = "RIOS_AWSBATCH_EMBEDDED"
# What every image has: GDAL, RIOS, this package, and what these need.
_IN_IMAGES: Final = {
    "boto3",
    "botocore",
    "click",
    "cloudpickle",
    "dateutil",
    "jmespath",
    "numpy",
    "osgeo",
    "pluggy",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "rich",
    "rios",
    "rios_plugin_awsbatch",
    "s3transfer",
    "six",
    "typing_extensions",
    "urllib3",
}
_LOOKED_AT: Final = 100  # of the calls in a chunk


def warn_of_packages(pickled: bytes, sources: Iterable[bytes]) -> None:
    """Warn of packages that a function uses, and that an image need not have.

    Args:
        pickled: The function.
        sources: The texts of the modules that go with it.
    """
    if EMBEDDED not in os.environ:
        return
    imported = {name for source in sources for name in top_levels_in(source)}
    names = {
        name.partition(".")[0]
        for name, module in list(sys.modules.items())
        if (name in imported or _as_pickled(name) in pickled) and is_installed(module)
    }
    for name in sorted(names - _IN_IMAGES):
        _tell_package(name)


def warn_of_paths(args: Iterable[Any], kwargs: Mapping[str, Any]) -> None:
    """Warn of arguments that are paths of this machine's disk."""
    if EMBEDDED not in os.environ:
        return
    for value in _single([*args, *kwargs.values()]):
        path = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
        if isinstance(path, str) and _is_there(path):
            _tell_path(path)


@functools.cache  # once is enough
def _tell_package(name: str) -> None:
    log.warning(
        "%s is installed here, and the workers of the embedded AWS share what is installed here; "
        "on AWS, the workers' image must have it",
        name,
    )


@functools.cache
def _tell_path(path: str) -> None:
    log.warning(
        "%s is on this machine's disk, which the workers of the embedded AWS share; on AWS, "
        "workers see what is in buckets (/vsis3/...) and on the web",
        path,
    )


def _as_pickled(text: str) -> bytes:
    """Return a short string as pickle writes it."""
    encoded = text.encode(errors="surrogatepass")
    return b"\x8c" + bytes([min(len(encoded), 255)]) + encoded


def _single(values: list[Any]) -> Iterator[Any]:
    """Yield arguments, and those of the calls of a chunk."""
    for value in values:
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            for call in value[:_LOOKED_AT]:
                yield from call
        else:
            yield value


def _is_there(path: str) -> bool:
    try:
        return os.path.isabs(path) and os.path.isfile(path)  # noqa: PTH113, PTH117 - for each call
    except ValueError:  # a zero in it
        return False
