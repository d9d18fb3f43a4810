"""The versions on which it depends whether two processes can exchange pickles."""

import platform
import sys
from typing import Final

import cloudpickle

__all__ = ["CLOUDPICKLE", "PYTHON", "describe_versions"]

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
