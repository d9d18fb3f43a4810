"""The program that builds, tags and pushes images: docker, podman or buildah."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rios_plugin_awsbatch.errors import ImageError

__all__ = ["BUILDERS", "LABEL", "ask", "build", "default_builder", "labelled", "run", "versions_in"]

BUILDERS: Final = ("docker", "podman", "buildah")
# Where the Dockerfile keeps the versions.
VERSIONS_FILE: Final = "/opt/python/versions.json"
# What the names of the labels begin with.
LABEL: Final = "rios-awsbatch."
# How pip, apt, uv and micromamba say what cannot be had.
_REASON: Final = re.compile(r"(?:^|\s)(?:ERROR:|E:|error:|(?:error|critical) +libmamba) +(.+)")


def default_builder() -> str:
    """Return the first builder that is installed; docker if none is."""
    return next((name for name in BUILDERS if shutil.which(name)), BUILDERS[0])


def run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command, whose output the user sees.

    Args:
        command: The program and its arguments.
        environment: Environment variables that it gets besides those of this process.

    Raises:
        ImageError: It cannot be run, or fails.
    """
    _execute(command, environment=environment, stdout=None)


def ask(*command: str) -> str:
    """Run a command and return its output, without white space around it.

    Raises:
        ImageError: It cannot be run, or fails.
    """
    return _execute(command, environment=None, stdout=subprocess.PIPE).strip()


def build(builder: str, *words: str) -> None:
    """Have the builder build an image; the user sees its output.

    Args:
        builder: The program.
        words: What follows its command ``build``.

    Raises:
        ImageError: It fails; the error has the first reason that its output tells.
    """
    reasons = []
    with _begun(builder, "build", *words) as process:
        for line in process.stdout or ():
            sys.stderr.write(line)
            reasons += [found[1].strip() for found in (_REASON.search(line),) if found]
    if process.returncode:
        why = f": {reasons[0].rstrip('.')}." if reasons else "; its output above says why."
        raise ImageError(f"`{builder} build` failed with exit status {process.returncode}{why}")


def versions_in(builder: str, image: str) -> dict[str, str]:
    """Return the versions that the build has written into an image.

    Raises:
        ImageError: There are none.
    """
    if Path(builder).name != "buildah":
        options = ("--rm", "--pull=never", "--entrypoint=cat")
        text = ask(builder, "run", *options, image, VERSIONS_FILE)
    else:
        with _container(builder, image) as name:  # buildah runs containers, not images
            text = ask(builder, "run", name, "--", "cat", VERSIONS_FILE)
    versions: dict[str, str] = json.loads(text)
    return versions


def labelled(builder: str, image: str) -> dict[str, str]:
    """Return the versions that an image's labels tell; none if it has no such labels.

    Raises:
        ImageError: There is no such image.
    """
    found: Any = json.loads(ask(builder, "inspect", "--type=image", image))
    # docker and podman answer with a list; buildah says it in its own way.
    image_config = found[0]["Config"] if isinstance(found, list) else found["OCIv1"]["config"]
    labels = image_config.get("Labels") or {}
    return {
        name.removeprefix(LABEL): value for name, value in labels.items() if name.startswith(LABEL)
    }


@contextlib.contextmanager
def _container(builder: str, image: str) -> Iterator[str]:
    name = ask(builder, "from", "--pull=never", image)
    try:
        yield name
    finally:
        ask(builder, "rm", name)


def _begun(*command: str) -> "subprocess.Popen[str]":
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with _explained(command[0]):
        return subprocess.Popen(command, text=True, errors="replace", **both)  # type: ignore[call-overload,no-any-return]  # noqa: S603 - no shell, and the user chooses the program


def _execute(
    command: tuple[str, ...], *, environment: Mapping[str, str] | None, stdout: int | None
) -> str:
    sys.stdout.flush()  # what was printed before comes before the program's output
    variables = {**os.environ, **(environment or {})}
    with _explained(command[0]):
        done = subprocess.run(command, env=variables, stdout=stdout, text=True, check=False)  # noqa: S603 - no shell, and the user chooses the program
    if done.returncode:
        raise ImageError(
            f"`{command[0]} {command[1]}` failed with exit status {done.returncode}; its output "
            "above says why."
        )
    return done.stdout or ""


@contextlib.contextmanager
def _explained(program: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        others = ", ".join(name for name in BUILDERS if name != program)
        raise ImageError(
            f"{program} cannot be run: {error.strerror}. Install it, or name another builder: "
            f"{others}."
        ) from None
