"""What an image needs to be like the environment here: Python, numpy, RIOS, and its packages."""

import importlib.metadata
import json
import re
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from rios_plugin_awsbatch.errors import ImageError
from rios_plugin_awsbatch.wire.image_tag import versions_here
from rios_plugin_awsbatch.wire.versions import PYTHON

__all__ = ["constraints", "direct_url", "packages_here", "python_for"]

_OLDEST_PYTHON: Final = (3, 10)
# What the image has anyway, or gets in another way.
_PROVIDED: Final = {"gdal", "numpy", "pip", "rios", "rios-plugin-awsbatch", "setuptools", "wheel"}


def python_for(wanted: str | None) -> str:
    """Return the minor version of the image's Python: the wanted one, or that of this process.

    Raises:
        ImageError: There is no such version, or this package does not run on it.
    """
    version = wanted or PYTHON
    found = re.fullmatch(r"3\.(\d+)", version)
    if found is None:
        raise ImageError(f"Python {version} is not a minor version such as {PYTHON}.")
    if (3, int(found[1])) < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        raise ImageError(f"Python {version} is too old; this package needs {oldest} or newer.")
    return version


def constraints(python: str) -> list[str]:
    """Return pip's constraints that keep numpy and cloudpickle as they are here.

    Args:
        python: The image's Python; if it is another one, numpy is kept to its major version only,
            because not each numpy exists for each Python.
    """
    here = versions_here(("numpy", "cloudpickle"))
    major, minor = re.findall(r"\d+", here["numpy"])[:2]
    same = python == PYTHON
    numpy = f"numpy=={major}.{minor}.*" if same else f"numpy>={major},<{int(major) + 1}"
    return [numpy, f"cloudpickle=={here['cloudpickle']}"]


def packages_here() -> tuple[list[str], list[str]]:
    """Return the packages of the active environment.

    Returns:
        Requirements for pip; and the names of packages that pip cannot get elsewhere, because they
        are installed from a folder or an archive of this machine.
    """
    wanted, local = {}, set()
    for found in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"] or "").lower()
        if not name or name in _PROVIDED:
            continue
        origin = direct_url(found)
        if origin is None:
            # A local version, as in 2.1+cu121, is not on PyPI.
            wanted[name] = f"{name}=={found.version.partition('+')[0]}"
        elif "vcs_info" in origin:
            vcs = origin["vcs_info"]
            wanted[name] = f"{name} @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
        elif origin["url"].startswith("file:"):
            local.add(name)
        else:
            wanted[name] = f"{name} @ {origin['url']}"
    return [wanted[name] for name in sorted(wanted)], sorted(local)


def direct_url(distribution: importlib.metadata.Distribution) -> Any:
    """Return where a distribution was installed from; None if from an index.

    https://packaging.python.org/en/latest/specifications/direct-url/
    """
    text = distribution.read_text("direct_url.json")
    return None if text is None else json.loads(text)


def folder_of(origin: Any) -> Path | None:
    """Return the folder that a distribution was installed from, if it was one of this machine."""
    url = urllib.parse.urlsplit(origin["url"])
    if url.scheme != "file" or "dir_info" not in origin:
        return None
    return Path(urllib.request.url2pathname(url.path))
