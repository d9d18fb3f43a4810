"""The versions on which it depends whether two processes can exchange pickles."""

import contextlib
import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import cloudpickle

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.records import Versions

__all__ = [
    "CLOUDPICKLE",
    "PYTHON",
    "describe_versions",
    "find_versions",
    "library_version",
    "library_versions",
]

# Pickled code is read by the same minor version of Python only.
PYTHON: Final = ".".join(platform.python_version_tuple()[:2])
CLOUDPICKLE: Final = int(cloudpickle.__version__.partition(".")[0])
_RIOS_VERSION: Final = re.compile(r"""^RIOS_VERSION\s*=\s*["']([^"']+)["']""", re.MULTILINE)


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


def find_versions() -> Versions:
    """Return the versions of what this process has imported, or would import; import nothing."""
    return Versions(
        python=platform.python_version(),
        package=__version__,
        cloudpickle=str(cloudpickle.__version__),
        numpy=_imported("numpy") or _installed("numpy"),
        gdal=_imported("osgeo.gdal") or _imported("osgeo") or _installed("gdal"),
        # Installed from an archive or a checkout, RIOS may have no metadata.
        rios=_imported("rios") or _written_in_rios() or _installed("rios"),
    )


def _imported(module: str) -> str | None:
    version = getattr(sys.modules.get(module), "__version__", None)
    return version if isinstance(version, str) else None


def _installed(distribution: str) -> str | None:
    with contextlib.suppress(Exception):  # metadata can be missing, or broken in any way
        return importlib.metadata.version(distribution) or None
    return None


def _written_in_rios() -> str | None:
    with contextlib.suppress(Exception):  # as above: a version is not worth an error
        spec = importlib.util.find_spec("rios")
        if spec is not None and spec.origin is not None:
            found = _RIOS_VERSION.search(Path(spec.origin).read_text(encoding="utf-8"))
            return found.group(1) if found else None
    return None


def library_version(name: str) -> str | None:
    """Return the version of a library here, by the name of its module; None if it has none."""
    return _imported(name) or _installed(name)


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the loaded libraries that say theirs."""
    found = {name: _imported(name) for name in names if name not in sys.stdlib_module_names}
    return {name: version for name, version in found.items() if version}
