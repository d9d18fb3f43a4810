"""A wheel of this very package, so that the image has the same code as this machine."""

import base64
import hashlib
import importlib.metadata
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .builder import run

__all__ = ["packed_wheel", "plugin_wheel"]

_DISTRIBUTION: Final = "rios-plugin-awsbatch"
# What installers add to the files of a wheel.
_INSTALLERS: Final = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


def plugin_wheel(destination: Path) -> Path:
    """Put a wheel of this package into a folder.

    It is built from the checkout, or packed from the installed files where there is no checkout.

    Args:
        destination: The folder.

    Returns:
        The wheel.

    Raises:
        ImageError: It cannot be built.
    """
    root = Path(__file__).parents[2]
    project = root / "pyproject.toml"
    if not project.is_file() or _DISTRIBUTION not in project.read_text(encoding="utf-8"):
        return packed_wheel(importlib.metadata.distribution(_DISTRIBUTION), destination)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run(*pip, f"--wheel-dir={destination}", str(root))
    return next(destination.glob("rios_plugin_awsbatch-*.whl"))


def packed_wheel(distribution: importlib.metadata.Distribution, destination: Path) -> Path:
    """Pack the installed files, as the wheel had them that they were installed from.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/

    Args:
        distribution: Of Python's files only.
        destination: The folder.

    Returns:
        The wheel.
    """
    stem = f"{distribution.metadata['Name'].replace('-', '_')}-{distribution.version}"
    wheel = destination / f"{stem}-py3-none-any.whl"
    records = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in _installed_files(distribution):
            packed.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            records.append(f"{name},sha256={digest.decode()},{len(content)}")
        record = f"{stem}.dist-info/RECORD"
        packed.writestr(record, "\n".join([*records, f"{record},,", ""]))
    return wheel


def _installed_files(
    distribution: importlib.metadata.Distribution,
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each installed file that came from the wheel."""
    for path in distribution.files or ():
        # Scripts are elsewhere, and made from the entry points.
        if path.parts[0] != ".." and path.suffix != ".pyc" and path.name not in _INSTALLERS:
            yield path.as_posix(), Path(str(path.locate())).read_bytes()
