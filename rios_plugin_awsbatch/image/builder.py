"""The program that builds, tags and pushes images: docker, podman or buildah."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ImageError

__all__ = ["BUILDERS", "TAG_FILE", "ask", "default_builder", "run", "tag_in"]

BUILDERS: Final = ("docker", "podman", "buildah")
# Where the Dockerfile keeps the image's tag.
TAG_FILE: Final = "/usr/local/share/rios-awsbatch/tag"


def default_builder() -> str:
    """Return the first builder that is installed; docker if none is."""
    return next((name for name in BUILDERS if shutil.which(name)), BUILDERS[0])


def run(*command: str, stdin: str | None = None) -> None:
    """Run a command, whose output the user sees.

    Args:
        command: The program and its arguments.
        stdin: What the program reads from its standard input.

    Raises:
        ImageError: It cannot be run, or fails.
    """
    _execute(command, stdin=stdin, stdout=None)


def ask(*command: str) -> str:
    """Run a command and return its output, without white space around it.

    Raises:
        ImageError: It cannot be run, or fails.
    """
    return _execute(command, stdin=None, stdout=subprocess.PIPE).strip()


def tag_in(builder: str, image: str) -> str:
    """Return the tag that the build has written into an image.

    Raises:
        ImageError: There is none.
    """
    if Path(builder).name != "buildah":
        return ask(builder, "run", "--rm", "--pull=never", "--entrypoint=cat", image, TAG_FILE)
    with _container(builder, image) as name:  # buildah runs containers, not images
        return ask(builder, "run", name, "--", "cat", TAG_FILE)


@contextlib.contextmanager
def _container(builder: str, image: str) -> Iterator[str]:
    name = ask(builder, "from", "--pull=never", image)
    try:
        yield name
    finally:
        ask(builder, "rm", name)


def _execute(command: tuple[str, ...], *, stdin: str | None, stdout: int | None) -> str:
    sys.stdout.flush()  # what was printed before comes before the program's output
    try:
        done = subprocess.run(command, input=stdin, stdout=stdout, text=True, check=False)  # noqa: S603 - no shell, and the user chooses the program
    except OSError as error:
        others = ", ".join(name for name in BUILDERS if name != command[0])
        raise ImageError(
            f"{command[0]} cannot be run: {error.strerror}. Install it, or name another builder: "
            f"{others}."
        ) from None
    if done.returncode:
        raise ImageError(
            f"`{command[0]} {command[1]}` failed with exit status {done.returncode}; its output "
            "above says why."
        )
    return done.stdout or ""
