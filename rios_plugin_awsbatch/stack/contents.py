"""What is in a stack, and beside it under its names: deleted where CloudFormation would not.

::

    jobs ---------> ended; their queues disabled and settled
    definitions --> old revisions and copies made by submissions deregistered
    run queues ---> deleted, by the pattern of their names
    bucket -------> emptied, with all versions
    repositories -> emptied
"""

from collections.abc import Iterator, Sequence
from typing import Final

from rios_plugin_awsbatch.aws.clients import Clients

from .definitions import deregister_others
from .images import delete_images
from .jobs import end_jobs
from .objects import delete_objects
from .queues import RunQueues
from .records import BUCKET, REPOSITORY, Resource, Step, named

__all__ = ["Contents"]

_JOBS_SECONDS: Final = 300.0


class Contents:
    """What is in a stack that is being deleted.

    Args:
        clients: The AWS clients, of the stack's region.
        stack: The stack's name.
        queue_prefix: How the names of the queues of its runs begin.
        poll_seconds: How often to ask while jobs end.
        jobs_seconds: How long to wait for jobs to end, and for a job queue to settle.
    """

    def __init__(
        self,
        clients: Clients,
        stack: str,
        queue_prefix: str,
        poll_seconds: float,
        *,
        jobs_seconds: float = _JOBS_SECONDS,
    ) -> None:
        self._clients = clients
        self._stack = stack
        self._poll_seconds = poll_seconds
        self._jobs_seconds = jobs_seconds
        self._run_queues = RunQueues(clients.sqs, queue_prefix)

    def delete(self, resources: Sequence[Resource]) -> Iterator[Step]:
        """Delete all of it, while the caller reads what is yielded.

        Raises:
            StackError: An object or an image cannot be deleted.
        """
        yield from end_jobs(
            self._clients.batch,
            resources,
            reason=f"Stack {self._stack} is being deleted",
            poll_seconds=self._poll_seconds,
            patience=self._jobs_seconds,
        )
        yield from self.delete_beside(resources)
        for bucket in named(resources, BUCKET):
            yield from delete_objects(self._clients.s3, bucket)
        for repository in named(resources, REPOSITORY):
            yield from delete_images(self._clients.ecr(), repository)

    def delete_beside(self, resources: Sequence[Resource]) -> Iterator[Step]:
        """Delete what is named after the stack but not part of it.

        Main scripts that still run may make more of it while the stack is being deleted.
        """
        yield from deregister_others(self._clients.batch, resources)
        yield from self._run_queues.delete()
