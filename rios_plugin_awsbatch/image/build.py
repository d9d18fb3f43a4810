"""Building the image from the Dockerfile beside this module.

::

    builder   docker, podman or buildah
    wheel     this package, for the image
    build     the wheel, RIOS and the Dockerfile in a folder, built and tagged
    tag       the tag, which the Dockerfile has written into the image
    registry  pushing the image to the stack's repository
"""

import dataclasses
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ImageError

from .builder import run, tag_in
from .wheel import plugin_wheel

__all__ = ["LATEST_RIOS", "Build", "build"]

LATEST_RIOS: Final = "2.0.9"
_RELEASE: Final = "https://github.com/ubarsc/rios/releases/download/rios-{0}/rios-{0}.tar.gz"


@dataclasses.dataclass(frozen=True)
class Build:
    """What to build, and with what.

    Attributes:
        builder: The program: docker, podman or buildah.
        name: The image's local name, without a tag.
        base_image: The image to build on; None for the Dockerfile's default.
        rios: RIOS's version, or the path or URL of an archive, or the path of a folder.
        extra_packages: Names of packages for apt.
        pip_packages: Requirements for pip.
        platform: As in ``linux/arm64``; None for the builder's default.
        options: Further options for the builder.
    """

    builder: str
    name: str = "rios"
    base_image: str | None = None
    rios: str = LATEST_RIOS
    extra_packages: Sequence[str] = ()
    pip_packages: Sequence[str] = ()
    platform: str | None = None
    options: Sequence[str] = ()


def build(what: Build) -> tuple[str, ...]:
    """Build the image.

    Returns:
        Its local names: one with the tag ``latest``, one with a tag that tells its versions.

    Raises:
        ImageError: It cannot be built.
    """
    latest = f"{what.name}:latest"
    with tempfile.TemporaryDirectory(prefix="rios-awsbatch-image-") as scratch:
        context = Path(scratch)
        packages = context / "packages"
        packages.mkdir()
        shutil.copy(Path(__file__).with_name("Dockerfile"), context)
        plugin_wheel(packages)
        arguments = {
            "BASE_IMAGE": what.base_image,
            "RIOS": _rios(what.rios, packages),
            "EXTRA_PACKAGES": " ".join(what.extra_packages),
            "PIP_PACKAGES": " ".join(what.pip_packages),
        }
        given = [f"--build-arg={name}={value}" for name, value in arguments.items() if value]
        platform = [f"--platform={what.platform}"] if what.platform else []
        options = [f"--tag={latest}", *platform, *given, *what.options]
        run(what.builder, "build", *options, str(context))
    tagged = f"{what.name}:{tag_in(what.builder, latest)}"
    run(what.builder, "tag", latest, tagged)
    return latest, tagged


def _rios(wanted: str, packages: Path) -> str:
    """Return what pip installs RIOS from; a local archive or folder is put beside the wheel."""
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
