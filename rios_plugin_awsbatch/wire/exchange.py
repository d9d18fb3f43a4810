"""What main and a worker have in common: two queues, a store and a key."""

import base64
from typing import Final

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.names import run_prefix
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.errors import MessageError, PayloadError

from .messages import Message, Payload, RunKey, Withdrawn, decode, encode
from .queue import MessageQueue
from .store import PayloadStore
from .task_function import content_name

__all__ = ["Exchange", "connect"]

_CONTENTS: Final = "results/contents/"  # workers may write below results/ only
_WITHDRAWN: Final = "withdrawn"
_MAC_DIGITS: Final = 16


class Exchange:
    """Carries messages and payloads between main and workers.

    Args:
        tasks: The queue from main to workers.
        results: The queue from workers to main.
        store: Holds payloads that are too large for a message.
        key: Authenticates everything.
        inline_limit: Bytes of payload that one message may carry.
        renewal: Says whether to wait for credentials that have ended.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what `connect` has made
        self,
        tasks: MessageQueue,
        results: MessageQueue,
        store: PayloadStore,
        key: RunKey,
        inline_limit: int,
        renewal: Renewal | None = None,
    ) -> None:
        self.tasks = tasks
        self.results = results
        self.store = store
        self.key = key
        self.inline_limit = inline_limit
        self.renewal = renewal

    def pack(
        self, data: bytes, name: str, room: int | None = None, *, by_content: bool = False
    ) -> Payload:
        """Make a payload: inline if it fits, else stored.

        Args:
            data: The bytes.
            name: Their name in the store.
            room: Bytes that fit into the message; the inline limit, if not given.
            by_content: Whether other bytes get another name: a task may be computed twice, and the
                second result must not take the place of the first.
        """
        mac = self.key.mac(data)
        if len(data) <= (self.inline_limit if room is None else room):
            return Payload(mac=mac, size=len(data), inline=base64.b64encode(data).decode())
        name = f"{name}-{mac[:_MAC_DIGITS]}" if by_content else name
        return Payload(mac=mac, size=len(data), key=self.store.put(name, data))

    def unpack(self, payload: Payload) -> bytes:
        """Return the bytes of `payload`, authenticated.

        Raises:
            PayloadError: They are missing, damaged or forged.
        """
        if payload.inline is not None:
            try:
                data = base64.b64decode(payload.inline, validate=True)
            except ValueError as error:  # binascii.Error is one
                sentence = f"A payload of {payload.size} bytes is damaged: {error}."
                raise PayloadError(sentence) from None
        elif payload.key is not None:
            data = self.store.get(payload.key)
        else:
            raise PayloadError("A payload is neither in its message nor in the bucket.")
        if len(data) != payload.size or not self.key.verifies(data, payload.mac):
            raise PayloadError(
                f"Payload {payload.key or 'in a message'} of run {self.key.run} is damaged or "
                f"forged: {len(data)} of {payload.size} bytes, and its MAC does not fit."
            )
        return data

    def put_content(self, name: str, data: bytes) -> None:
        """Store bytes that several results refer to by their `content_name`."""
        self.store.put(f"{_CONTENTS}{name}", data)

    def content(self, name: str) -> bytes:
        """Return the bytes with this `content_name`, which an authentic result has given.

        Raises:
            PayloadError: They are missing or damaged.
        """
        data = self.store.get(f"{self.store.prefix}{_CONTENTS}{name}")
        if content_name(data) != name:
            raise PayloadError(f"Content {name} of run {self.key.run} is damaged or forged.")
        return data

    def put_withdrawn(self, withdrawn: Withdrawn) -> None:
        """Tell workers in the bucket which tasks nobody waits for, instead of what it says now."""
        self.store.put(_WITHDRAWN, self.encode(withdrawn).encode())

    def withdrawn(self) -> Withdrawn:
        """Return what `put_withdrawn` has stored.

        Raises:
            PayloadError: Nothing has been stored.
            MessageError: It is damaged or forged.
        """
        # A worker looks before each task, and can do without.
        stored = self.store.get(f"{self.store.prefix}{_WITHDRAWN}", patient=False)
        message = self.decode(stored.decode())
        if not isinstance(message, Withdrawn):
            raise MessageError(f"Object {_WITHDRAWN} of run {self.key.run} is something else.")
        return message

    def encode(self, message: Message) -> str:
        """Return `message` as text for one of the run's queues."""
        return encode(message, self.key)

    def decode(self, text: str) -> Message:
        """Return the message in `text`; raises MessageError."""
        return decode(text, self.key)


def connect(  # noqa: PLR0913 - each is one fact, given by name
    clients: Clients,
    *,
    tasks: str,
    results: str,
    bucket: str,
    key: RunKey,
    inline_limit: int,
    renewal: Renewal | None = None,
) -> Exchange:
    """Choose what carries messages and payloads: both sides of a run call this.

    Args:
        clients: The AWS clients.
        tasks: URL of the queue of tasks.
        results: URL of the queue of results.
        bucket: The stack's bucket.
        key: The run's key.
        inline_limit: Bytes of payload that one message may carry.
        renewal: Says whether to wait for credentials that have ended.
    """
    return Exchange(
        MessageQueue(clients.sqs, tasks),
        MessageQueue(clients.sqs, results),
        PayloadStore(clients.s3, bucket, run_prefix(key.run), renewal),
        key,
        inline_limit,
        renewal,
    )
