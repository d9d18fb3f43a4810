"""What a run owns in AWS: two queues, and a prefix in the stack's bucket.

They are made when the run begins, and are gone when it ends. The prefix is ``runs/<run id>/``. The
`Inventory` there names the queues and jobs. Main rewrites it while it lives. If it has not been
rewritten for a while, main has died, and the next run sweeps what is left (sweep.py).
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.attempts import attempt_all, attempted
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained, is_missing_queue
from rios_plugin_awsbatch.aws.names import Role, queue_name, run_prefix
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import INLINE_MARGIN, Settings
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire.exchange import Exchange, connect
from rios_plugin_awsbatch.wire.messages import RunKey, peek_run
from rios_plugin_awsbatch.wire.queue import MESSAGE_BYTES, MessageQueue
from rios_plugin_awsbatch.wire.store import PayloadStore

from .inventory import INVENTORY, Inventory

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

__all__ = ["RunResources", "delete_queue"]

_QUEUE_ATTRIBUTES: "Final[Mapping[QueueAttributeNameType, str]]" = {
    "MaximumMessageSize": str(MESSAGE_BYTES),
    "MessageRetentionPeriod": str(14 * 24 * 3600),
    "SqsManagedSseEnabled": "true",
}
_ROLES: Final[tuple[Role, Role]] = ("tasks", "results")


class RunResources:
    """The queues and the prefix of one run.

    Args:
        settings: May name queues that exist.
        stack: The stack's outputs.
        clients: The AWS clients.
        key: The run's key.
    """

    def __init__(
        self, settings: Settings, stack: StackOutputs, clients: Clients, key: RunKey
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._clients = clients
        self._key = key
        self._store = PayloadStore(clients.s3, stack.bucket, run_prefix(key.run))
        self._stored = False
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self.inventory = Inventory(self._store)

    def make(self) -> Exchange:
        """Make them, all or none.

        Returns:
            What main and workers exchange payloads and messages through.

        Raises:
            StackError: The bucket or a queue is missing or may not be used, or another run uses a
                given queue.
        """
        try:
            with explained(StackError, f"Cannot use bucket {self._stack.bucket} of {self._stack}"):
                self.inventory.write()
            self._stored = True
            given = (self._settings.in_queue, self._settings.out_queue)
            if given[0] and given[1]:
                return self._with_queues((given[0], given[1]), self._take(given[0], given[1]))
            return self._with_queues(self._create(), self._settings.inline_limit)
        except BaseException:
            self.delete()
            raise

    def delete(self) -> None:
        """Delete them, the latest first.

        What cannot be deleted is logged. Then the inventory stays, and the sweep tries again.
        """
        undo, self._undo = self._undo[::-1], []
        kept = INVENTORY
        try:
            if attempt_all(self._key.run, undo):
                kept = ""
        finally:
            if self._stored:
                with attempted(self._key.run, "delete the run's objects"):
                    self._store.clear(keep=kept)

    def _with_queues(self, urls: tuple[str, str], inline_limit: int) -> Exchange:
        return connect(
            self._clients,
            tasks=urls[0],
            results=urls[1],
            bucket=self._stack.bucket,
            key=self._key,
            inline_limit=inline_limit,
            renewal=Renewal(
                self._settings.credentials_timeout,
                f"run={self._key.run}",
                safe="What workers have computed is safe in the queue meanwhile.",
            ),
        )

    def _create(self) -> tuple[str, str]:
        created: list[str] = []
        for role in _ROLES:
            with explained(StackError, f"Cannot use a queue for the {role} of run {self._key.run}"):
                name = queue_name(self._stack.name, self._key.run, role)
                url = self._clients.sqs.create_queue(QueueName=name, Attributes=_QUEUE_ATTRIBUTES)[
                    "QueueUrl"
                ]
            created.append(url)
            delete = functools.partial(delete_queue, self._clients, url)
            self._undo.append((f"delete the queue of {role}", delete))
            self.inventory.write(queues=created)
        return created[0], created[1]

    def _take(self, *urls: str) -> int:
        """Take queues that exist; return how many bytes of payload fit into their messages."""
        for url in urls:
            with explained(StackError, f"Cannot use queue {url}"):
                _refuse_used(MessageQueue(self._clients.sqs, url))
        for url in urls:  # only when both are known to be nobody else's
            self._undo.append((f"empty queue {url}", MessageQueue(self._clients.sqs, url).drain))
        return min(self._settings.inline_limit, *(_room_in(self._clients, url) for url in urls))


def delete_queue(clients: Clients, url: str) -> None:
    """Delete a queue, if it is there."""
    try:
        clients.sqs.delete_queue(QueueUrl=url)
    except botocore.exceptions.ClientError as error:
        if not is_missing_queue(error):
            raise


def _room_in(clients: Clients, url: str) -> int:
    """Return how many bytes of payload fit into a message of a queue, as Base64."""
    with explained(StackError, f"Cannot use queue {url}"):
        answer: Any = clients.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["MaximumMessageSize"]
        )
    return max(int(answer["Attributes"]["MaximumMessageSize"]) * 3 // 4 - INLINE_MARGIN, 0)


def _refuse_used(queue: MessageQueue) -> None:
    """Raise if a queue that was given holds messages, which can only be another run's."""
    for received in queue.receive(1, wait=0, visibility=0):
        owner = peek_run(received.body)
        raise StackError(
            f"Queue {queue.url} holds messages of {f'run {owner}' if owner else 'something else'}; "
            "one run at a time may own it. Wait for that run to end, or purge the queue."
        )
