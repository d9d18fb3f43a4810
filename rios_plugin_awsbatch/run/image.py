"""The image of a run's workers: chosen once, and known to work before anything starts."""

import dataclasses
import logging

from rios_plugin_awsbatch.aws.batch import latest_definition
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, sentence_for
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.stack.worker_image import named_image
from rios_plugin_awsbatch.wire.image_tag import DECISIVE, differences, versions_here

__all__ = ["with_chosen_image"]

log = logging.getLogger(__name__)


def with_chosen_image(clients: Clients, stack: StackOutputs) -> StackOutputs:
    """Choose the revision of the workers' job definition for all of a run's workers.

    `image push` registers a revision that names the image by its digest, so workers that start
    later run the same image, whatever is pushed meanwhile.

    Args:
        clients: The AWS clients.
        stack: The stack.

    Returns:
        The stack, with the revision in its `job_definition`.

    Raises:
        WorkersError: The image's tag says that workers could not read what main sends.
    """
    try:
        image = named_image(clients, stack.job_definition)
    except AWS_ERRORS as error:  # whoever may not look can still start workers
        log.debug("the workers' image is not known: %s", sentence_for(error))
        return _with_revision(clients, stack)
    if image is None:  # Batch says so when the workers are submitted
        return stack
    for difference in differences(image.versions, versions_here(DECISIVE)):
        raise WorkersError(
            f"The workers' image {image.name} has {difference}, so workers could not read what "
            "this process sends. Build an image like this environment and push it "
            "(`rios-awsbatch image build`, `rios-awsbatch image push`), or run the script where "
            "the versions are the image's."
        )
    return dataclasses.replace(stack, job_definition=image.definition)


def _with_revision(clients: Clients, stack: StackOutputs) -> StackOutputs:
    """Return the stack with the definition's revision of now, as far as Batch tells."""
    try:
        found = latest_definition(clients.batch, stack.job_definition)
    except AWS_ERRORS:
        return stack
    if found is None:
        return stack
    revision = f"{found['jobDefinitionName']}:{found['revision']}"
    return dataclasses.replace(stack, job_definition=revision)
