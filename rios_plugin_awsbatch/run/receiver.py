"""From the results queue to main: receives, authenticates, and settles tasks.

::

    receiver thread          handler threads
    receive, verify   --->   download large results, unpickle, settle the future (and run its
                             callbacks, which may wait for other futures); delete the messages
"""

import functools
import logging
import threading
import time
from typing import Final

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.errors import is_missing_queue, sentence_for
from rios_plugin_awsbatch.aws.patience import NEW_QUEUE_SECONDS, Patience
from rios_plugin_awsbatch.errors import MessageError, StackError, VersionMismatchError
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import (
    Begun,
    Failure,
    Message,
    Result,
    Stop,
    WorkerNotice,
    peek_run,
)
from rios_plugin_awsbatch.wire.queue import BATCH_ENTRIES, LONG_POLL_SECONDS, Received

from .contact import FirstContact
from .pending import Pending
from .roster import Roster
from .threads import RequestThreads

__all__ = ["Receiver"]

log = logging.getLogger(__name__)

HANDLERS: Final = 4
CLOSE_SECONDS: Final = 5.0
PAUSE_SHARE, PAUSE_SECONDS = 0.05, 0.1  # of the time since the last results, and at most


class Receiver:
    """Receives while something is expected.

    Args:
        exchange: Where from.
        pending: Takes the outcomes of tasks, and the error if receiving fails for good.
        roster: Takes what workers say of themselves.
        visibility: Seconds after which a message comes again if the answer to a receive was lost.
            What comes twice because handling it takes longer is ignored.
    """

    def __init__(
        self, exchange: Exchange, pending: Pending, roster: Roster, visibility: int
    ) -> None:
        self._exchange = exchange
        self._pending = pending
        self._roster = roster
        self._contact = FirstContact(exchange.key.run)
        self._visibility = visibility
        self._closed = threading.Event()
        # Little room: what has been received is in memory.
        self._handlers = RequestThreads("handler", HANDLERS, room=2 * HANDLERS)
        self._handling = threading.Lock()  # guards `_handled`
        self._handled: list[str] = []
        self._thread = threading.Thread(target=self._receive_loop, name="receiver", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends when nothing is expected any more."""
        self._thread.start()

    def close(self, *, queue_stays: bool) -> None:
        """Receive no more, and end the receive that still waits.

        Args:
            queue_stays: Whether the queue outlives the run. Then the messages that were handled are
                deleted, and the receive must have ended, because it could take a message of the
                queue's next user.
        """
        self._closed.set()
        patience = CLOSE_SECONDS + (LONG_POLL_SECONDS if queue_stays else 0)
        deadline = time.monotonic() + patience
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            with attempted(self._exchange.key.run, "stop receiving", queue_may_be_gone=True):
                self._exchange.results.send([self._exchange.encode(Stop())])
            self._thread.join(max(deadline - time.monotonic(), 0))
        self._handlers.close(deadline)
        if queue_stays:
            self.flush()

    def flush(self) -> None:
        """Delete the messages that were handled, without waiting for others."""
        self._delete(self._taken_handled(1))

    def _receive_loop(self) -> None:
        patience = Patience(
            new_queue=NEW_QUEUE_SECONDS, ended=self._closed, renewal=self._exchange.renewal
        )
        latest = time.monotonic()
        while self._pending.wait_until_expecting() and not self._closed.is_set():
            try:
                received = patience.call(
                    self._receive, what=f"receive results of run {self._exchange.key.run}"
                )
            except Exception as error:  # noqa: BLE001 - it is the end of the run
                if not self._closed.is_set():
                    what = f"Cannot receive results of run {self._exchange.key.run}"
                    self._pending.fail_all(StackError(f"{what}: {sentence_for(error)}"))
                return
            for message in received:
                self._handle(message)
            if received:
                # Blocks that were sent together come back together: let one request receive them.
                before, latest = latest, time.monotonic()
                time.sleep(min(PAUSE_SHARE * (latest - before), PAUSE_SECONDS))

    def _receive(self) -> list[Received]:
        return self._exchange.results.receive(
            BATCH_ENTRIES, wait=LONG_POLL_SECONDS, visibility=self._visibility
        )

    def _handle(self, received: Received) -> None:
        try:
            message = self._exchange.decode(received.body)
        except MessageError as error:
            self._refuse(received, error)
            return
        self._handlers.call(functools.partial(self._give, message, received.receipt))

    def _give(self, message: Message, receipt: str) -> None:
        """Give a message to whom it is for; then it may be deleted."""
        try:
            if isinstance(message, WorkerNotice):
                self._note(message)
            elif isinstance(message, Result | Failure):
                self._pending.settle(message)
            elif isinstance(message, Begun):
                self._pending.begin(message)
        except Exception as error:
            if not is_missing_queue(error):  # else the run is over
                log.exception("run=%s a message could not be handled", self._exchange.key.run)
            return
        self._done_with(receipt)

    def _note(self, notice: WorkerNotice) -> None:
        self._roster.note(notice)
        if notice.event == "unfit":
            self._pending.fail_all(
                VersionMismatchError(f"{notice.detail} [worker {notice.worker}]")
            )
        elif notice.event == "ready":
            refusal = self._contact.refusal(notice)
            if refusal is not None:
                self._pending.fail_all(refusal)
            if self._pending.closing:  # too late to be told to stop with the others
                self._exchange.tasks.send([self._exchange.encode(Stop())])

    def _refuse(self, received: Received, error: MessageError) -> None:
        run = self._exchange.key.run
        if isinstance(error, VersionMismatchError):
            self._pending.fail_all(error)
        elif peek_run(received.body) in (None, run):
            log.warning("run=%s %s", run, error)
            self._done_with(received.receipt)
        else:
            self._pending.fail_all(error)  # the queues were given, and are not ours alone

    def _done_with(self, receipt: str) -> None:
        with self._handling:
            self._handled.append(receipt)
        self._delete(self._taken_handled(BATCH_ENTRIES))

    def _taken_handled(self, least: int) -> list[str]:
        """Take the receipts of handled messages, if there are at least so many."""
        with self._handling:
            if len(self._handled) < least:
                return []
            handled, self._handled = self._handled, []
            return handled

    def _delete(self, receipts: list[str]) -> None:
        try:
            self._exchange.results.delete(receipts)
        except Exception as error:  # noqa: BLE001 - they come once more, and are ignored
            if not is_missing_queue(error):
                log.warning(
                    "run=%s cannot delete messages: %s", self._exchange.key.run, sentence_for(error)
                )
