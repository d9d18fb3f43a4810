"""Building the image from a Dockerfile beside this module.

::

    builder   docker, podman or buildah
    likeness  Python, numpy and packages as they are here
    wheel     this package, for the image
    rios      RIOS, for the image
    conda     an environment file of conda
    build     all that and a Dockerfile in a folder; built, labelled and tagged
    contents  what is in the image; the last step of the build runs it
    registry  pushing the image to the stack's repository
    pin       the pushed image's digest in the stack's job definitions
"""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rios_plugin_awsbatch.errors import ImageError
from rios_plugin_awsbatch.wire.image_tag import image_tag

from .builder import LABEL, run, versions_in
from .builder import build as build_with
from .conda import completed_environment
from .likeness import constraints, packages_here, python_for
from .rios import rios_source
from .wheel import plugin_wheel

__all__ = ["Build", "build"]

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Build:
    """What to build, and with what.

    Attributes:
        builder: The program: docker, podman or buildah.
        name: The image's local name, without a tag.
        base_image: The image to build on; None for the Dockerfile's default.
        python: The minor version of Python; None for that of this process.
        rios: RIOS's version, or the path or URL of an archive, or the path of a folder; None for
            the RIOS that is here.
        extra_packages: Names of packages for apt.
        pip_packages: Requirements for pip.
        requirements: A requirements file for pip.
        conda: An environment file of conda; the image's Python and GDAL then are conda-forge's.
        like_here: Whether to install the packages of the active environment.
        platform: As in ``linux/arm64``; None for the builder's default.
        options: Further options for the builder.
    """

    builder: str
    name: str = "rios"
    base_image: str | None = None
    python: str | None = None
    rios: str | None = None
    extra_packages: Sequence[str] = ()
    pip_packages: Sequence[str] = ()
    requirements: Path | None = None
    conda: Path | None = None
    like_here: bool = False
    platform: str | None = None
    options: Sequence[str] = ()


def build(what: Build) -> tuple[str, dict[str, str]]:
    """Build the image as ``latest``, and give it labels and a tag that tell its versions.

    Returns:
        The tag, and the versions.

    Raises:
        ImageError: It cannot be built.
    """
    latest = f"{what.name}:latest"
    platform = [f"--platform={what.platform}"] if what.platform else []
    with tempfile.TemporaryDirectory(prefix="rios-awsbatch-image-") as scratch:
        context = Path(scratch)
        arguments = _prepare(what, context)
        given = [f"--build-arg={name}={value}" for name, value in arguments.items() if value]
        options = [f"--tag={latest}", *platform, *given, *what.options]
        build_with(what.builder, *options, str(context))
    versions = versions_in(what.builder, latest)
    tag = image_tag(versions)
    labels = {f"{LABEL}{name}": version for name, version in versions.items()}
    labels["org.opencontainers.image.version"] = tag
    with tempfile.TemporaryDirectory(prefix="rios-awsbatch-image-") as scratch:
        # What the labels tell is known only now. They add no layer.
        (Path(scratch) / "Dockerfile").write_text(f"FROM {latest}\n")
        given = [f"--label={name}={value}" for name, value in labels.items()]
        # docker prefers its own image to a registry's anyway.
        local = [] if Path(what.builder).name == "docker" else ["--pull=never"]
        build_with(what.builder, f"--tag={latest}", *platform, *given, *local, scratch)
    run(what.builder, "tag", latest, f"{what.name}:{tag}")
    return tag, versions


def _prepare(what: Build, context: Path) -> dict[str, str | None]:
    """Fill the build context; return the build's arguments."""
    python = python_for(what.python)
    for name in what.extra_packages:
        if name.startswith("python3-"):
            raise ImageError(
                f"apt's {name} is for the system's own Python, which the image does not use: name "
                f"{name.removeprefix('python3-')} in --pip-packages instead."
            )
    packages = context / "packages"
    packages.mkdir()
    kept = constraints(python)
    _write_list(packages / "constraints.txt", kept)
    _write_requirements(what, packages)
    dockerfile = "Dockerfile"
    if what.conda is not None:
        dockerfile = "Dockerfile.conda"
        # conda has its own way of saying the same: numpy=2.1.*, numpy>=2,<3.
        specs = [f"python={python}.*", *(one.replace("==", "=") for one in kept), "gdal", "pip"]
        text = completed_environment(what.conda, specs)
        (packages / "environment.yml").write_text(text, encoding="utf-8")
    shutil.copy(Path(__file__).with_name(dockerfile), context / "Dockerfile")
    rios = rios_source(what.rios, packages)
    plugin_wheel(packages)
    return {
        "BASE_IMAGE": what.base_image,
        "PYTHON": None if what.conda else python,
        "RIOS": rios,
        "EXTRA_PACKAGES": " ".join(what.extra_packages),
    }


def _write_requirements(what: Build, packages: Path) -> None:
    """Write the user's lists: a file as it is, because it may have hashes, and the packages."""
    try:
        text = b"" if what.requirements is None else what.requirements.read_bytes()
    except OSError as error:
        raise ImageError(
            f"The requirements file {what.requirements} cannot be read: {error.strerror}."
        ) from None
    (packages / "requirements.txt").write_bytes(text)
    here, local = packages_here() if what.like_here else ([], [])
    if local:
        log.warning(
            "installed from this machine and left out of the image: %s; modules that are imported "
            "from a folder are sent with each run",
            ", ".join(local),
        )
    _write_list(packages / "pip.txt", [*here, *what.pip_packages])


def _write_list(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
