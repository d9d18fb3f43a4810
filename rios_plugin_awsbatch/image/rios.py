"""RIOS for the image: the very RIOS that is here, or what the user names."""

import importlib.metadata
import re
import shutil
import tarfile
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ImageError
from rios_plugin_awsbatch.wire.image_tag import versions_here

from .likeness import direct_url, folder_of
from .wheel import packed_wheel

__all__ = ["LATEST_RIOS", "rios_source"]

LATEST_RIOS: Final = "2.0.9"
_RELEASE: Final = "https://github.com/ubarsc/rios/releases/download/rios-{0}/rios-{0}.tar.gz"


def rios_source(wanted: str | None, packages: Path) -> str:
    """Return what pip in the image installs RIOS from.

    Args:
        wanted: RIOS's version, or the path or URL of an archive, or the path of a folder; None for
            the RIOS that is installed here, or for the latest release if there is none.
        packages: A folder of the build context, which gets what is on this machine.

    Raises:
        ImageError: There is no such RIOS.
    """
    if wanted is None:
        return _installed(packages)
    if re.fullmatch(r"\d+(\.\d+)+[\w.]*", wanted):
        return _RELEASE.format(wanted)
    if "://" in wanted:
        return wanted
    path = Path(wanted)
    if path.is_dir():
        with tarfile.open(packages / "rios.tar.gz", "w:gz") as tar:
            tar.add(path, "rios", filter=lambda info: None if info.name.endswith("/.git") else info)
        return "/packages/rios.tar.gz"
    if path.is_file():
        shutil.copy(path, packages)
        return f"/packages/{path.name}"
    raise ImageError(
        f"RIOS {wanted} is neither a version such as {LATEST_RIOS}, nor a URL, nor an archive or "
        "a folder on this machine."
    )


def _installed(packages: Path) -> str:
    try:
        found = importlib.metadata.distribution("rios")
    except importlib.metadata.PackageNotFoundError:
        return _RELEASE.format(versions_here(("rios",)).get("rios", LATEST_RIOS))
    origin = direct_url(found)
    if origin is not None and origin.get("dir_info", {}).get("editable"):
        return rios_source(str(folder_of(origin)), packages)
    if "Root-Is-Purelib: true" in (found.read_text("WHEEL") or ""):
        return f"/packages/{packed_wheel(found, packages).name}"
    return _RELEASE.format(found.version)
