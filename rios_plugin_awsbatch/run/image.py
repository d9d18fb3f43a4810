"""The image of a run's workers: chosen once, and known to work before anything starts."""

import dataclasses
import logging

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, sentence_for
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.stack.worker_image import known_to_ecr, named_image
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
        return stack
    if image is None:  # Batch says so when the workers are submitted
        return stack
    try:
        image = known_to_ecr(clients, image)
    except AWS_ERRORS as error:
        log.debug("what is in the workers' image is not known: %s", sentence_for(error))
    for difference in differences(image.versions, versions_here(DECISIVE)):
        raise WorkersError(
            f"The workers' image {image.name} has {difference}, so workers could not read what "
            "this process sends. Build an image like this environment and push it "
            "(`rios-awsbatch image build`, `rios-awsbatch image push`), or run the script where "
            "the versions are the image's."
        )
    return dataclasses.replace(stack, job_definition=image.definition)
