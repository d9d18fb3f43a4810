"""From the results queue to main: receives in one thread, authenticates and handles in several, deletes in batches."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from .awserrors import is_missing_queue, is_passing, sentence_for
from .errors import MessageError, StackError, VersionMismatchError
from .exchange import BATCH_ENTRIES, LONG_POLL_SECONDS, NEW_QUEUE_SECONDS, OUTAGE_SECONDS, Exchange, Received
from .messages import Message, Stop, peek_run

__all__ = ["Inbox"]

log = logging.getLogger(__name__)

HANDLERS = 4
COMPANY_SHARE, COMPANY_SECONDS = 0.05, 0.1  # of the time since the last results, and at most


class Inbox:
    """Receives while something is expected.

    Args:
        exchange: Where from.
        expecting: Waits until a message is expected; says False when none will be any more.
        handle: Takes each authentic message, in one of several threads.
        failed: Takes the error if nothing can be received any more.
        visibility: Seconds after which a message comes again whose answer was lost on its way; what comes twice because
            handling it took longer is ignored.
    """

    def __init__(
        self,
        exchange: Exchange,
        expecting: Callable[[], bool],
        handle: Callable[[Message], None],
        failed: Callable[[Exception], None],
        visibility: int,
    ) -> None:
        self._exchange = exchange
        self._expecting = expecting
        self._handle = handle
        self._failed = failed
        self._visibility = visibility
        # Short, for what is received is in memory.
        self._received: queue.Queue[Received | None] = queue.Queue(2 * HANDLERS)
        self._lock = threading.Lock()
        self._handled: list[str] = []
        self._closed = False
        self._threads = [
            threading.Thread(target=target, name=f"inbox{target.__name__}", daemon=True)
            for target in (self._receive_loop, *(self._handle_loop,) * HANDLERS)
        ]

    def start(self) -> None:
        """Start the threads; they end when nothing is expected any more."""
        for thread in self._threads:
            thread.start()

    def close(self, *, queue_stays: bool) -> None:
        """Receive no more.

        Args:
            queue_stays: Whether the queue outlives the run: then what has been handled is deleted from it, and a
                receive that still waits is ended first, lest it take a message of the queue's next user.
        """
        self._closed = True
        if not queue_stays:
            return
        if self._threads[0].is_alive():
            self._exchange.results.send([self._exchange.encode(Stop())])
        deadline = time.monotonic() + LONG_POLL_SECONDS + 5
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self.flush()

    def flush(self) -> None:
        """Delete the messages that have been handled."""
        with self._lock:
            handled, self._handled = self._handled, []
        self._exchange.results.delete(handled)

    def _receive_loop(self) -> None:
        outage_since: float | None = None
        latest = time.monotonic()
        while self._expecting() and not self._closed:
            try:
                received = self._exchange.results.receive(
                    BATCH_ENTRIES, wait=LONG_POLL_SECONDS, visibility=self._visibility
                )
            except Exception as error:  # noqa: BLE001 - it passes, or it is the end
                if self._closed:
                    break
                outage_since = outage_since or time.monotonic()
                if not _may_pass(error, time.monotonic() - outage_since):
                    run = self._exchange.key.run
                    self._failed(StackError(f"Cannot receive results of run {run}: {sentence_for(error)}"))
                    break
                time.sleep(1)
                continue
            outage_since = None
            for message in received:
                self._received.put(message)
            if received:  # blocks that were sent together come back together: let one request receive the others
                before, latest = latest, time.monotonic()
                time.sleep(min(COMPANY_SHARE * (latest - before), COMPANY_SECONDS))
        self._received.put(None)

    def _handle_loop(self) -> None:
        while (received := self._received.get()) is not None:
            try:
                self._handle(self._exchange.decode(received.body))
                self._delete(received)
            except MessageError as error:  # noqa: PERF203 - one bad message must not end the loop
                self._refuse(received, error)
            except Exception as error:
                if is_missing_queue(error):  # the run is over
                    continue
                log.exception("run=%s a message could not be handled", self._exchange.key.run)
        self._received.put(None)  # for the next thread

    def _refuse(self, received: Received, error: MessageError) -> None:
        run = self._exchange.key.run
        if isinstance(error, VersionMismatchError):
            self._failed(error)
        elif peek_run(received.body) in (None, run):
            log.warning("run=%s %s", run, error)
            self._delete(received)
        else:
            self._failed(error)  # the queues were given, and are not ours alone

    def _delete(self, received: Received) -> None:
        with self._lock:
            self._handled.append(received.receipt)
            full = len(self._handled) >= BATCH_ENTRIES
        if full:
            self.flush()


def _may_pass(error: Exception, lasting: float) -> bool:
    if is_missing_queue(error):
        return lasting < NEW_QUEUE_SECONDS
    return is_passing(error) and lasting < OUTAGE_SECONDS
