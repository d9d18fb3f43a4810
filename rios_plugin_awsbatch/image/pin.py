"""Job definitions that name a pushed image by its digest.

Batch cannot change the image of a single job, but a job names a revision of its definition. So a
push registers revisions with the digest, and a run keeps to the revision that it began with.
"""

from collections.abc import Iterator

from rios_plugin_awsbatch.aws.batch import copy_with_image, image_of, latest_definition
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained
from rios_plugin_awsbatch.errors import ImageError
from rios_plugin_awsbatch.stack.outputs import StackOutputs

__all__ = ["pin"]


def pin(clients: Clients, stack: StackOutputs, repository: str, tag: str) -> Iterator[str]:
    """Have the stack's job definitions name an image by its digest.

    Definitions that name an image of another repository, or another tag than the latest, are left.

    Args:
        clients: The AWS clients.
        stack: The stack.
        repository: The repository that the image was pushed to.
        tag: One of the image's tags.

    Yields:
        Name and revision of each definition that names the digest from now on.

    Raises:
        ImageError: The digest cannot be read, or a revision may not be registered.
    """
    what = f"The image is pushed, but job definitions of {stack} do not name it by its digest"
    with explained(ImageError, what):
        found = [
            latest_definition(clients.batch, name)
            for name in (stack.job_definition, stack.script_definition, stack.main_definition)
            if name
        ]
        named = [one for one in found if one and _is_latest_of(repository, image_of(one))]
        pinned = f"{repository}@{_digest(clients, repository, tag)}" if named else ""
        for definition in named:
            if image_of(definition) != pinned:
                wanted = copy_with_image(definition, pinned)
                made = clients.batch.register_job_definition(**wanted)
                yield f"{made['jobDefinitionName']}:{made['revision']}"


def _is_latest_of(repository: str, image: str) -> bool:
    """Return whether an image is what was pushed last, or was when its definition was made."""
    return image in (repository, f"{repository}:latest") or image.startswith(f"{repository}@")


def _digest(clients: Clients, repository: str, tag: str) -> str:
    registry, _, name = repository.partition("/")
    region = registry.partition(".ecr.")[2].partition(".")[0]
    answer = clients.ecr(region).describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])
    return answer["imageDetails"][0]["imageDigest"]
