"""What a run owns in AWS: two queues, and a prefix in the stack's bucket.

They are made when the run begins, and are gone when it ends. The prefix is ``runs/<run id>/``. The
`Inventory` there names the queues and jobs before they are made. Main renews it while it lives. If
it has not been renewed for long, main has died, and another run sweeps what is left (sweep.py).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.attempts import attempt_all, attempted
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import explained, is_missing_queue, is_refused
from rios_plugin_awsbatch.aws.names import INVENTORY, Role, queue_name, run_prefix, workers_job_name
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import INLINE_MARGIN, RENEWALS, Settings
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire.exchange import Exchange, connect
from rios_plugin_awsbatch.wire.messages import RunKey, peek_run
from rios_plugin_awsbatch.wire.queue import MESSAGE_BYTES, SURE_SECONDS, MessageQueue
from rios_plugin_awsbatch.wire.store import PayloadStore

from .inventory import Heartbeat, Inventory
from .labels import labels

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

    Attributes:
        inventory: Names them. It is renewed until they are deleted.
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
        self._urls: dict[Role, str] = {}
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self.inventory = Inventory(self._store)
        self._heartbeat = Heartbeat(key.run, self.inventory, settings.main_timeout / RENEWALS)

    def make(self) -> Exchange:
        """Make them, all or none.

        Returns:
            What main and workers exchange payloads and messages through.

        Raises:
            StackError: The bucket or a queue is missing or may not be used, or another run uses a
                given queue.
        """
        given = (self._settings.in_queue, self._settings.out_queue)
        try:
            self._record(() if given[0] and given[1] else _ROLES)
            self._heartbeat.start()
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
        deleted = False
        try:
            deleted = attempt_all(self._key.run, undo)
        finally:
            self._heartbeat.close()
            if self._stored:
                stays = self.inventory.end(complete=deleted)
                with attempted(self._key.run, "delete the run's objects"):
                    self._store.clear(keep=INVENTORY if stays else "")

    def _record(self, roles: Sequence[Role]) -> None:
        """Write down what is to be made."""
        self._stored = True  # an interrupt may come when it is, and before we know
        with explained(StackError, f"Cannot use bucket {self._stack.bucket} of {self._stack}"):
            try:
                self.inventory.write(
                    queues=[self._queue_name(role) for role in roles],
                    job_queue=self._stack.job_queue,
                    launches=[workers_job_name(self._key.run, 1)],
                )
            except botocore.exceptions.ClientError as error:
                self._stored = not is_refused(error)
                raise

    def _queue_name(self, role: Role) -> str:
        return queue_name(self._stack.queue_prefix, self._key.run, role)

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
        for role in _ROLES:
            delete = functools.partial(self._delete_queue, role)
            self._undo.append((f"delete the queue of {role}", delete))
            with explained(StackError, f"Cannot use a queue for the {role} of run {self._key.run}"):
                try:
                    self._urls[role] = self._create_queue(role)
                except botocore.exceptions.ClientError as error:
                    if is_refused(error):  # there is none
                        self._undo.pop()
                    raise
        return self._urls["tasks"], self._urls["results"]

    def _create_queue(self, role: Role) -> str:
        return self._clients.sqs.create_queue(
            QueueName=self._queue_name(role),
            Attributes=_QUEUE_ATTRIBUTES,
            tags=labels(run_id=self._key.run),
        )["QueueUrl"]

    def _delete_queue(self, role: Role) -> None:
        # If the answer was lost, or an interrupt came, the same request tells the queue's address.
        url = self._urls.get(role) or self._create_queue(role)
        delete_queue(self._clients, url)

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
    for received in queue.receive(1, wait=SURE_SECONDS, visibility=0):
        owner = peek_run(received.body)
        raise StackError(
            f"Queue {queue.url} holds messages of {f'run {owner}' if owner else 'something else'}; "
            "one run at a time may own it. Wait for that run to end, or purge the queue."
        )
