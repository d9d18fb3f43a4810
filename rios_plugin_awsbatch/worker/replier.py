"""The worker's way out: results are stored and announced, then the task messages are deleted, all in batches."""

import contextlib
import logging
import queue
import time
from collections.abc import Callable

from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Failure, Result, Task
from rios_plugin_awsbatch.wire.queue import BATCH_ENTRIES

from .inflight import Answer, Hands

__all__ = ["Storer"]

log = logging.getLogger(__name__)

DELETE_LINGER_SECONDS = 2.0  # without another result; a batch of them is one request
WAITING = 4


class Storer:
    """Announces answers, in a thread of its own.

    Args:
        exchange: Where to.
        hands: Lets go of what is answered.
        worker: The worker's name.
        requests: Says how many AWS requests the worker has made.
        refusal: Makes a failure of a task and an error.
        visibility: Seconds in which a task's message must be deleted or extended.
    """

    def __init__(  # noqa: PLR0913 - each is one fact, given once
        self,
        exchange: Exchange,
        hands: Hands,
        worker: str,
        requests: Callable[[], int],
        refusal: Callable[[Task, Exception], Failure],
        *,
        visibility: float,
    ) -> None:
        self._exchange = exchange
        self._hands = hands
        self._worker = worker
        self._requests = requests
        self._refusal = refusal
        self._longest = visibility / 6  # of the last extension, two thirds are left at least
        # Short: a worker whose network is slower than its functions must not fill its memory.
        self._answers: queue.Queue[Answer | None] = queue.Queue(WAITING)

    def put(self, answer: Answer) -> None:
        """Announce `answer` soon."""
        self._answers.put(answer)

    def put_last(self) -> None:
        """Let `run` return when all has been announced; if it hangs, it is not waited for."""
        with contextlib.suppress(queue.Full):
            self._answers.put(None, timeout=5)

    def run(self) -> None:
        """Announce until there is nothing more to come."""
        done: list[str] = []
        due = oldest = time.monotonic()
        more = True
        while more:
            answers = self._waiting(due - time.monotonic() if done else None)
            more = None not in answers
            announced = self._announce([answer for answer in answers if answer is not None])
            now = time.monotonic()
            if not done:
                oldest = now
            if announced:
                due = min(now + DELETE_LINGER_SECONDS, oldest + self._longest)
            done += announced
            if len(done) >= BATCH_ENTRIES or not more or now >= due:
                self._delete(done)
                done = []

    def _waiting(self, timeout: float | None) -> list[Answer | None]:
        """Return all answers that wait; none if there are none for `timeout` seconds."""
        answers: list[Answer | None] = []
        with contextlib.suppress(queue.Empty):
            answers.append(self._answers.get(timeout=None if timeout is None else max(timeout, 0)))
            while len(answers) < BATCH_ENTRIES:
                answers.append(self._answers.get_nowait())
        return answers

    def _announce(self, answers: list[Answer]) -> list[str]:
        """Store and send `answers`; return the receipts of the tasks that are done with."""
        receipts = [answer.held.receipt for answer in answers]
        try:
            self._exchange.results.send(
                [self._exchange.encode(self._reply(answer)) for answer in answers]
            )
        except Exception as error:  # noqa: BLE001 - the tasks stay with SQS, which hands them out again
            if not is_missing_queue(error):
                log.warning(
                    "worker=%s cannot announce results: %s", self._worker, sentence_for(error)
                )
            return []
        else:
            return receipts
        finally:
            self._hands.drop(*receipts)

    def _reply(self, answer: Answer) -> Result | Failure:
        task, content = answer.held.task, answer.content
        reply: Result | Failure
        if isinstance(content, Failure):
            reply = content
        else:
            try:
                payload = self._exchange.pack(
                    content, f"results/{task.task}-{self._worker}-{answer.held.attempts}"
                )
                reply = Result(
                    task=task.task, worker=self._worker, requests=self._requests(), payload=payload
                )
            except AWS_ERRORS as error:
                what = f"{task.name}: its result cannot be stored in bucket {self._exchange.store.bucket}"
                reply = self._refusal(task, AWSBatchException(f"{what}: {sentence_for(error)}"))
        log.info(
            "run=%s task=%d block=%r worker=%s attempt=%d seconds=%.3f bytes_in=%d bytes_out=%d %s",
            self._exchange.key.run,
            task.task,
            task.name,
            self._worker,
            answer.held.attempts,
            answer.seconds,
            len(answer.held.arguments),
            0 if isinstance(content, Failure) else len(content),
            reply.reason if isinstance(reply, Failure) else "done",
        )
        return reply

    def _delete(self, receipts: list[str]) -> None:
        try:
            self._exchange.tasks.delete(receipts)
        except Exception as error:  # noqa: BLE001 - they are computed once more, and ignored
            if not is_missing_queue(error):
                log.warning(
                    "worker=%s cannot delete task messages: %s", self._worker, sentence_for(error)
                )
