"""The image that a job definition names, and what ECR knows of it."""

import dataclasses
import re
from typing import Final

from rios_plugin_awsbatch.aws.batch import image_of, latest_definition
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, error_code
from rios_plugin_awsbatch.wire.image_tag import versions_in

__all__ = ["NamedImage", "known_to_ecr", "named_image"]

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR: Final = re.compile(
    r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com[a-z.]*/([^:@]+)(?::([^@]+))?(?:@(.+))?"
)
_NO_IMAGE: Final = ("ImageNotFoundException", "RepositoryNotFoundException")


@dataclasses.dataclass(frozen=True)
class NamedImage:
    """The image of a job definition.

    Attributes:
        definition: Name and revision of the job definition, as in ``riosJobDefinition:3``.
        name: The image, as the definition names it.
        in_ecr: Whether ECR is where it should be; if not, nobody can tell what is in it.
        exists: Whether ECR has it.
        versions: What is in it, as one of its tags tells.
    """

    definition: str
    name: str
    in_ecr: bool
    exists: bool = False
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        """Whether it is named by its digest, so that a push does not replace it."""
        return "@" in self.name


def named_image(clients: Clients, definition: str) -> NamedImage | None:
    """Ask Batch for the image of a job definition.

    Args:
        clients: The AWS clients.
        definition: The definition's name, for its latest revision, or its name and revision.

    Returns:
        The image; None if there is no such definition.

    Raises:
        botocore.exceptions.ClientError: Batch refuses to tell.
        botocore.exceptions.BotoCoreError: It cannot be reached.
    """
    found = latest_definition(clients.batch, definition)
    if found is None:
        return None
    name = image_of(found)
    revision = f"{found['jobDefinitionName']}:{found['revision']}"
    return NamedImage(revision, name, in_ecr=_ECR.fullmatch(name) is not None)


def known_to_ecr(clients: Clients, image: NamedImage) -> NamedImage:
    """Return an image with what ECR knows of it; the same if it should not be there.

    Raises:
        botocore.exceptions.ClientError: ECR refuses to tell.
        botocore.exceptions.BotoCoreError: It cannot be reached.
    """
    place = _ECR.fullmatch(image.name)
    if place is None:
        return image
    region, repository, tag, digest = place.groups()
    identity = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    try:
        answer = clients.ecr(region).describe_images(
            repositoryName=repository,
            imageIds=[identity],  # type: ignore[list-item]  # one of both keys
        )
    except AWS_ERRORS as error:
        if error_code(error) not in _NO_IMAGE:
            raise
        return image
    tags = (tag for one in answer["imageDetails"] for tag in one.get("imageTags", []))
    versions = next(filter(None, map(versions_in, tags)), {})
    return dataclasses.replace(image, exists=True, versions=versions)
