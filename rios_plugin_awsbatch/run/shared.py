"""What tasks have: functions and arguments; what many share is stored once per run."""

import threading
from concurrent.futures import Future
from typing import Any, Final

from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.compression import Compression
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Payload
from rios_plugin_awsbatch.wire.task_function import TaskFunction

from .luck import warn_of_paths
from .runtimes import Runtimes
from .sender import about_sending
from .statistics import Totals

__all__ = ["SharedPayloads"]

INLINE_BYTES: Final = 16 * 1024  # up to this size, it rides in every message
INLINE_RUNTIME: Final = 2 * 1024


class SharedPayloads:
    """The shared payloads of one run, by their content.

    Args:
        exchange: Stores them.
        totals: Counts their bytes.
        compression: How to compress them.
        runtimes: The runtimes that go with functions.
    """

    def __init__(
        self, exchange: Exchange, totals: Totals, compression: Compression, runtimes: Runtimes
    ) -> None:
        self._exchange = exchange
        self._totals = totals
        self._compression = compression
        self._runtimes = runtimes
        self._adding = threading.Lock()  # guards all that follows
        self._storing: dict[str, Future[Payload]] = {}  # by MAC
        # By MAC, the keys of those that are stored; None for those that ride in messages. A run may
        # have thousands of applies, so nothing larger is kept.
        self._keys: dict[str, str | None] = {}

    def share(self, value: Any, what: str) -> Payload:
        """Pickle `value` as it is now; store it unless the same bytes are stored already.

        Args:
            value: A function, or a pair of positional and keyword arguments.
            what: What it is, for errors.

        Raises:
            PicklingError: It cannot be pickled.
            AWSBatchException: It, or the runtime that goes with it, cannot be stored.
        """
        if callable(value):
            what = f"{what} {payload.describe(value)}"
        data = payload.dumps(value, what, compression=self._compression)
        shared = self._stored(data, what, INLINE_BYTES)
        if callable(value) or isinstance(value, TaskFunction):
            self._runtimes.note(shared.mac, data, self._store_runtime)
        return shared

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> bytes:
        """Pickle the arguments of one task.

        Raises:
            PicklingError: They cannot be pickled.
        """
        warn_of_paths(args, kwargs)
        what = f"An argument of {name}"
        return payload.dumps((args, kwargs), what, compression=self._compression)

    def runtime_of(self, function: Payload) -> Payload | None:
        """Return what goes with a function."""
        return self._runtimes.of(function)

    def _store_runtime(self, packed: bytes) -> Payload:
        return self._stored(packed, "your modules", INLINE_RUNTIME)

    def _stored(self, data: bytes, what: str, room: int) -> Payload:
        mac = self._exchange.key.mac(data)
        with self._adding:
            key = self._keys.get(mac)
            if key is not None:
                return Payload(mac=mac, size=len(data), key=key)
            storing = self._storing.get(mac)
            if storing is None:
                mine = self._storing[mac] = Future[Payload]()
        if storing is not None:  # another thread does it
            return storing.result()
        try:
            packed = Patience(renewal=self._exchange.renewal).call(
                lambda: self._exchange.pack(data, f"shared/{mac}", room),
                what=f"store {what}",
            )
        except BaseException as error:
            with self._adding:  # the next caller tries again
                del self._storing[mac]
            if not isinstance(error, Exception):  # Ctrl-C is for this thread alone
                mine.set_exception(AWSBatchException(f"The upload of {what} was interrupted."))
                raise
            sentence = about_sending(what, error)
            mine.set_exception(sentence)
            raise sentence from error
        with self._adding:
            del self._storing[mac]
            new = mac not in self._keys
            self._keys[mac] = packed.key
        mine.set_result(packed)
        if new:
            self._totals.note_sent(len(data))
        return packed
