"""What a worker sends: results and failures, notices about itself, and tasks for other workers."""

import dataclasses
import functools
import threading
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, sentence_for
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import AWSBatchException, TaskLostError
from rios_plugin_awsbatch.records import Measured, Versions
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import (
    Begun,
    Failure,
    Measures,
    Payload,
    Result,
    WorkerNotice,
)
from rios_plugin_awsbatch.wire.queue import MESSAGE_BYTES
from rios_plugin_awsbatch.wire.versions import describe_versions

from .calls import NOT_BEGUN, Content, Raised, Returned
from .inflight import HeldTask

__all__ = ["Answers", "Outcome", "Refused", "Withheld"]

INLINE_EXCEPTION: Final = 128 * 1024
DETAIL_CHARACTERS: Final = 2_000
# Of a message, what is neither the payload nor the records of blocks.
_ENVELOPE_BYTES: Final = 8 * 1024


@dataclasses.dataclass(frozen=True)
class Refused:
    """A task that this worker cannot compute.

    Attributes:
        error: Why; a `TaskLostError` if the task ended the processes that computed it.
        timing: How long it was computed, if it was begun.
        stacks: Where it stood when its time was over.
    """

    error: Exception
    timing: Measured = NOT_BEGUN
    stacks: str = ""


@dataclasses.dataclass(frozen=True)
class Withheld:
    """A task that nobody waits for: main is told nothing."""


Outcome: TypeAlias = Returned | Raised | Refused | Withheld
_Told: TypeAlias = Returned | Raised | Refused


class Answers:
    """Makes and sends messages, for any thread.

    Args:
        exchange: The run's queues and store.
        clients: Whose requests are counted.
        worker: The worker's name, which all messages bear.
        ended: Ends the waiting during an outage.
    """

    def __init__(
        self, exchange: Exchange, clients: Clients, worker: str, ended: threading.Event
    ) -> None:
        self._exchange = exchange
        self._patience = Patience(ended=ended, renewal=exchange.renewal)
        self._clients = clients
        self._worker = worker
        self._storing = threading.Lock()  # guards `_stored`
        self._stored: set[str] = set()  # names of contents

    def announce(
        self,
        event: Literal["ready", "gone", "failed", "unfit"],
        detail: str,
        versions: Versions | None = None,
    ) -> None:
        """Tell main that this worker is ready, has gone, cannot start, or can be of no use."""
        notice = WorkerNotice(
            worker=self._worker,
            event=event,
            requests=self._clients.requests,
            detail=detail[:DETAIL_CHARACTERS],
            versions=versions,
        )
        self._exchange.results.send([self._exchange.encode(notice)])

    def tell_begun(self, held: HeldTask, *, kept: bool = False) -> None:
        """Tell main that a task is being computed; or that only this worker has it, see `Begun`."""
        begun = Begun(
            task=held.task.task, worker=self._worker, requests=self._clients.requests, kept=kept
        )
        self._exchange.results.send([self._exchange.encode(begun)])

    def send(self, replies: Sequence[Result | Failure]) -> None:
        """Send replies to main."""
        texts = [self._exchange.encode(reply) for reply in replies]
        self._patience.call(lambda: self._exchange.results.send(texts), what="send results")

    def send_anew(self, tasks: Sequence[HeldTask], *, failed: int = 0, lost: int = 0) -> None:
        """Send tasks anew and delete their messages.

        If they only became visible again, this worker would count as one that has vanished.

        Args:
            tasks: The tasks.
            failed: How many of this worker's attempts count: none if it has been told to stop.
            lost: Whether this worker counts as lost with what it was computing: 1, else 0.
        """
        anew = [
            held.task.model_copy(
                update={"failed": held.attempt - 1 + failed, "vanished": held.vanished + lost}
            )
            for held in tasks
        ]
        self._exchange.tasks.send([self._exchange.encode(task) for task in anew])
        self._exchange.tasks.delete([held.receipt for held in tasks])

    def reply_to(self, held: HeldTask, outcome: _Told) -> Result | Failure:
        """Return the message that tells main a task's outcome; stores what is large."""
        try:
            if isinstance(outcome, Returned):
                return self._result(held, outcome)
            if isinstance(outcome, Raised):
                return self._failure(held, outcome)
        except AWS_ERRORS as error:
            bucket = self._exchange.store.bucket
            sentence = (
                f"{held.task.name}: its result cannot be stored in bucket {bucket}: "
                f"{sentence_for(error)}"
            )
            return self._refusal(held, Refused(AWSBatchException(sentence), outcome.timing))
        return self._refusal(held, outcome)

    def _result(self, held: HeldTask, returned: Returned) -> Result:
        stored = self._store(returned.contents)
        size = len(returned.result) + stored
        measures = _measures(held, returned.timing, bytes_out=size)
        # Base64 makes four bytes of three.
        left = (MESSAGE_BYTES - _ENVELOPE_BYTES - measures.blocks_size) * 3 // 4
        payload = self._pack(
            returned.result,
            f"results/{held.task.task}-{self._worker}",
            min(self._exchange.inline_limit, left),
        )
        return Result(
            task=held.task.task,
            worker=self._worker,
            requests=self._clients.requests,
            measures=measures,
            payload=payload,
            libraries=dict(returned.libraries),
        )

    def _store(self, contents: Sequence[Content]) -> int:
        """Store contents that this worker has not stored yet; return how many bytes they have."""
        size = 0
        for content in contents:
            with self._storing:
                if content.data is None or content.name in self._stored:
                    continue
            self._patience.call(
                functools.partial(self._exchange.put_content, content.name, content.data),
                what=f"store content {content.name}",
            )
            with self._storing:
                self._stored.add(content.name)
            size += len(content.data)
        return size

    def _failure(self, held: HeldTask, raised: Raised) -> Failure:
        exception: Payload | None = None
        if raised.exception is not None:
            exception = self._pack(
                raised.exception,
                f"results/error-{held.task.task}-{self._worker}",
                min(INLINE_EXCEPTION, self._exchange.inline_limit),
            )
        return Failure(
            task=held.task.task,
            worker=self._worker,
            requests=self._clients.requests,
            measures=_measures(held, raised.timing),
            reason=raised.reason,
            error=raised.error,
            text=raised.text,
            traceback=raised.traceback,
            versions=raised.versions,
            exception=exception,
        )

    def _pack(self, data: bytes, name: str, room: int) -> Payload:
        return self._patience.call(
            lambda: self._exchange.pack(data, name, room, by_content=True), what=f"store {name}"
        )

    def _refusal(self, held: HeldTask, refused: Refused) -> Failure:
        error = refused.error
        return Failure(
            task=held.task.task,
            worker=self._worker,
            requests=self._clients.requests,
            measures=_measures(held, refused.timing),
            reason="lost" if isinstance(error, TaskLostError) else "refused",
            error=type(error).__name__,
            text=sentence_for(error),
            traceback=refused.stacks,
            versions=describe_versions(),
        )


def _measures(held: HeldTask, timing: Measured, *, bytes_out: int = 0) -> Measures:
    return Measures(
        attempt=held.attempt,
        bytes_in=held.task.arguments.size,
        bytes_out=bytes_out,
        measured=timing,
    )
