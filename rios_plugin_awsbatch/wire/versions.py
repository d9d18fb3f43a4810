"""The versions on which it depends whether two processes can exchange pickles."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterable
from typing import Final

import cloudpickle

__all__ = ["CLOUDPICKLE", "PYTHON", "describe_versions", "library_version", "library_versions"]

# Pickled code is read by the same minor version of Python only.
PYTHON: Final = ".".join(platform.python_version_tuple()[:2])
CLOUDPICKLE: Final = int(cloudpickle.__version__.partition(".")[0])


def describe_versions() -> str:
    """Return the versions here, for people: "Python 3.11.7, cloudpickle 3.1.3", for instance."""
    numpy = sys.modules.get("numpy")
    return ", ".join(
        f"{name} {version}"
        for name, version in (
            ("Python", platform.python_version()),
            ("cloudpickle", cloudpickle.__version__),
            ("numpy", getattr(numpy, "__version__", None)),
        )
        if version
    )


def library_version(name: str) -> str | None:
    """Return the version of a library here, by the name of its module; None if it has none."""
    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str):
        return version
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the loaded libraries that say theirs."""
    versions = {
        name: getattr(sys.modules.get(name), "__version__", None)
        for name in names
        if name not in sys.stdlib_module_names
    }
    return {name: version for name, version in versions.items() if isinstance(version, str)}
