"""The image: built with docker, podman or buildah, and pushed to the stack's repository in ECR.

The folder ``image`` has the Dockerfile. The image gets this very package: a wheel built of the
checkout, or put together again from what is installed.
"""

import base64
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import logging
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import ImageError, StackError
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.shipped import folder
from rios_plugin_awsbatch.stack.outputs import read_stack

__all__ = [
    "BUILDERS",
    "LATEST_RIOS",
    "Build",
    "build",
    "default_builder",
    "ecr_path",
    "platform_of_stack",
    "plugin_wheel",
    "push",
]

log = logging.getLogger(__name__)

BUILDERS: Final = ("docker", "podman", "buildah")
LATEST_RIOS: Final = "2.0.9"
NAME: Final = "rios"
TAG_FILE: Final = "/usr/local/share/rios-awsbatch/tag"
_RELEASE: Final = "https://github.com/ubarsc/rios/releases/download/rios-{0}/rios-{0}.tar.gz"
_DISTRIBUTION: Final = "rios-plugin-awsbatch"
# What an installer adds to what was in the wheel.
_INSTALLERS: Final = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


@dataclasses.dataclass(frozen=True)
class Build:
    """What to build, and with what.

    Attributes:
        builder: The program: docker, podman or buildah.
        name: The image's name here, without a tag.
        base_image: What it is built on; the Dockerfile's own, if not given.
        rios: RIOS's version, or the path or URL of an archive, or the path of a folder.
        extra_packages: Names of packages for apt.
        pip_packages: Requirements for pip.
        platform: As in ``linux/arm64``; the builder's own, if not given.
        options: Further options of the builder.
    """

    builder: str
    name: str = NAME
    base_image: str | None = None
    rios: str = LATEST_RIOS
    extra_packages: Sequence[str] = ()
    pip_packages: Sequence[str] = ()
    platform: str | None = None
    options: Sequence[str] = ()


def default_builder() -> str:
    """Return the first builder that is installed here, or docker if there is none."""
    return next((name for name in BUILDERS if shutil.which(name)), BUILDERS[0])


def ecr_path(*, main: bool = False, base: bool = False) -> str:
    """Return where the stack's images go.

    Args:
        main: The repository for images of main scripts, not the workers'.
        base: The registry alone.

    Raises:
        StackError: The stack that the environment names cannot be read, or has no repository.
    """
    settings = load(Settings)
    field = "main_repository" if main else "repository"
    repository = str(getattr(read_stack(Clients(settings.region), settings, field), field))
    return repository.partition("/")[0] if base else repository


def platform_of_stack() -> str | None:
    """Return the platform of the images that the stack runs; None if it does not say, or cannot be asked."""
    try:
        settings = load(Settings)
        architecture = read_stack(Clients(settings.region), settings).architecture
    except StackError:  # an image can be built before there is a stack
        return None
    return {"x86_64": "linux/amd64", "arm64": "linux/arm64"}.get(architecture)


def build(what: Build) -> tuple[str, ...]:
    """Build the image.

    Returns:
        Its names here: one with the tag ``latest``, one that tells its versions.

    Raises:
        ImageError: It cannot be built.
    """
    latest = f"{what.name}:latest"
    with tempfile.TemporaryDirectory(prefix="rios-awsbatch-image-") as scratch:
        context = Path(scratch)
        packages = context / "packages"
        packages.mkdir()
        shutil.copy(folder("image") / "Dockerfile", context)
        plugin_wheel(packages)
        arguments = {
            "BASE_IMAGE": what.base_image,
            "RIOS": _rios(what.rios, packages),
            "EXTRA_PACKAGES": " ".join(what.extra_packages),
            "PIP_PACKAGES": " ".join(what.pip_packages),
        }
        given = [f"--build-arg={name}={value}" for name, value in arguments.items() if value]
        platform = [f"--platform={what.platform}"] if what.platform else []
        _run(
            what.builder, "build", f"--tag={latest}", *platform, *given, *what.options, str(context)
        )
    tagged = f"{what.name}:{_tag_in(what.builder, latest)}"
    _run(what.builder, "tag", latest, tagged)
    return latest, tagged


def push(builder: str, image: str, repository: str) -> tuple[str, ...]:
    """Push an image to a repository in ECR, as ``latest`` and under its own tag.

    Args:
        builder: The program that has the image.
        image: Its name here; without a tag, that is ``latest``.
        repository: The repository, as `ecr_path` returns it.

    Returns:
        Its names there.

    Raises:
        ImageError: The registry cannot be logged in to, or the image cannot be pushed.
    """
    registry = repository.partition("/")[0]
    tag = image.rpartition("/")[2].partition(":")[2]
    image = image if tag else f"{image}:latest"
    if tag in ("", "latest"):
        try:
            tag = _tag_in(builder, image)
        except ImageError:
            log.warning("image=%s says nothing of its versions; it is pushed as latest only", image)
    tags = dict.fromkeys(["latest", tag or "latest"])
    user, password = _credentials(registry)
    _run(builder, "login", f"--username={user}", "--password-stdin", registry, text=password)
    pushed = tuple(f"{repository}:{one}" for one in tags)
    for target in pushed:
        _run(builder, "tag", image, target)
        _run(builder, "push", target)
    return pushed


def plugin_wheel(destination: Path) -> Path:
    """Put a wheel of this package into a folder: built of the checkout, or put together again from what is installed.

    Raises:
        ImageError: It cannot be built.
    """
    root = Path(__file__).parents[2]
    project = root / "pyproject.toml"
    if not project.is_file() or _DISTRIBUTION not in project.read_text(encoding="utf-8"):
        return _repacked(destination)
    _run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        f"--wheel-dir={destination}",
        str(root),
    )
    return next(destination.glob("rios_plugin_awsbatch-*.whl"))


def _repacked(destination: Path) -> Path:
    distribution = importlib.metadata.distribution(_DISTRIBUTION)
    wheel = destination / f"rios_plugin_awsbatch-{__version__}-py3-none-any.whl"
    records = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in distribution.files or ():
            # Scripts are outside, and made anew from the entry points.
            if path.parts[0] == ".." or path.suffix == ".pyc" or path.name in _INSTALLERS:
                continue
            content = path.locate().read_bytes()  # type: ignore[attr-defined]  # a Path since Python 3.10, to mypy a SimplePath
            packed.writestr(path.as_posix(), content)
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            )
            records.append(f"{path.as_posix()},sha256={digest},{len(content)}")
        record = f"rios_plugin_awsbatch-{distribution.version}.dist-info/RECORD"
        packed.writestr(record, "\n".join([*records, f"{record},,", ""]))
    return wheel


def _rios(wanted: str, packages: Path) -> str:
    """Return what pip installs RIOS from; something on this machine is put beside the wheel."""
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
        f"RIOS {wanted} is neither a version such as {LATEST_RIOS}, nor a URL, nor an archive or folder here."
    )


def _tag_in(builder: str, image: str) -> str:
    """Return the tag that the build has kept in an image."""
    if Path(builder).name != "buildah":
        return _ask(builder, "run", "--rm", "--pull=never", "--entrypoint=cat", image, TAG_FILE)
    # buildah runs containers, not images.
    with _container(builder, image) as name:
        return _ask(builder, "run", name, "--", "cat", TAG_FILE)


@contextlib.contextmanager
def _container(builder: str, image: str) -> Iterator[str]:
    name = _ask(builder, "from", "--pull=never", image)
    try:
        yield name
    finally:
        _ask(builder, "rm", name)


def _credentials(registry: str) -> tuple[str, str]:
    """Return user and password for a registry of ECR; good for half a day."""
    region = registry.partition(".ecr.")[2].partition(".")[0]
    with explained(ImageError, f"Cannot log in to {registry}"):
        answer: Any = Clients(region).ecr().get_authorization_token()
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    return user, password


def _run(*command: str, text: str | None = None) -> None:
    """Run a command, whose output is the user's to see."""
    _checked(command, lambda: subprocess.run(command, input=text, text=True, check=False))  # noqa: S603 - our own words


def _ask(*command: str) -> str:
    """Run a command and return what it prints."""
    done = _checked(
        command, lambda: subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    )
    return str(done.stdout).strip()


def _checked(
    command: Sequence[str], run: "Callable[[], subprocess.CompletedProcess[str]]"
) -> "subprocess.CompletedProcess[str]":
    sys.stdout.flush()
    try:
        done = run()
    except OSError as error:
        others = ", ".join(name for name in BUILDERS if name != command[0])
        raise ImageError(
            f"{command[0]} cannot be run: {error.strerror}. Install it, or name another builder: {others}."
        ) from None
    if done.returncode:
        raise ImageError(
            f"`{command[0]} {command[1]}` failed with exit status {done.returncode}; see above for why."
        )
    return done
