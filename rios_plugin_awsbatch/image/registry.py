"""The stack's repositories in ECR, and pushing images to them."""

import base64
import logging
from collections.abc import Mapping
from typing import Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import ImageError, StackError
from rios_plugin_awsbatch.settings import Settings
from rios_plugin_awsbatch.stack.outputs import read_stack
from rios_plugin_awsbatch.wire.image_tag import image_tag

from .builder import run
from .login import logged_in

__all__ = ["ecr_path", "platform_of_stack", "push"]

log = logging.getLogger(__name__)

_PLATFORMS: Final = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}


def ecr_path(
    clients: Clients, settings: Settings, *, main: bool = False, base: bool = False
) -> str:
    """Return the repository that the stack's images are pushed to.

    Args:
        clients: The AWS clients, of the settings' region.
        settings: The settings, which name the stack.
        main: The repository for images of main scripts, not that of the workers' image.
        base: Only the registry.

    Raises:
        StackError: The stack cannot be read, or has no repository.
    """
    field = "main_repository" if main else "repository"
    stack = read_stack(clients, settings, field)
    repository = stack.main_repository if main else stack.repository
    return _registry(repository) if base else repository


def platform_of_stack(clients: Clients, settings: Settings) -> str | None:
    """Return the platform of the stack's machines, as in ``linux/arm64``.

    Args:
        clients: The AWS clients, of the settings' region.
        settings: The settings, which name the stack.

    Returns:
        The platform; None if the stack does not tell it, or cannot be read.
    """
    try:
        architecture = read_stack(clients, settings).architecture
    except StackError:  # an image can be built before there is a stack
        return None
    return _PLATFORMS.get(architecture)


def push(
    clients: Clients, builder: str, image: str, repository: str, versions: Mapping[str, str]
) -> tuple[str, ...]:
    """Push an image to a repository in ECR, as ``latest`` and under its own tag.

    Args:
        clients: The AWS clients.
        builder: The program that has the image.
        image: Its local name; without a tag, ``latest`` is meant.
        repository: The repository, as `ecr_path` returns it.
        versions: What is in the image, as its labels tell.

    Returns:
        Its tags there.

    Raises:
        ImageError: There is no password for the registry, or pushing fails.
    """
    tag = image.rpartition("/")[2].partition(":")[2]
    image = image if tag else f"{image}:latest"
    if tag in ("", "latest"):
        tag = image_tag(versions) if versions else "latest"
        if not versions:
            log.warning("image=%s does not tell its versions; it is pushed as latest only", image)
    tags = tuple(dict.fromkeys(["latest", tag]))
    registry = _registry(repository)
    user, password = _credentials(clients, registry)
    with logged_in(registry, user, password) as environment:
        for target in (f"{repository}:{one}" for one in tags):
            run(builder, "tag", image, target)
            run(builder, "push", target, environment=environment)
    return tags


def _registry(repository: str) -> str:
    return repository.partition("/")[0]


def _credentials(clients: Clients, registry: str) -> tuple[str, str]:
    """Return user and password for a registry; they are valid for twelve hours.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
    """
    region = registry.partition(".ecr.")[2].partition(".")[0]
    with explained(ImageError, f"Cannot log in to {registry}"):
        answer = clients.ecr(region).get_authorization_token()
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    return user, password
