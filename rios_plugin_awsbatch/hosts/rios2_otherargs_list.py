"""RIOS 2's ``otherArgsList``: an entry for each task that has changed its copy of the otherArgs."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.task_function import content_name

from .rios2_otherargs import Change, OtherArgs

__all__ = ["OtherArgsList"]

COPIED_BYTES: Final = 64 * 1024 * 1024


class OtherArgsList:
    """Makes the entries, and keeps each content once. Any thread may add.

    A script may change an entry in place, in order to sum for instance. So each entry gets values
    of its own, up to `COPIED_BYTES` in all. Beyond that, entries with the same content share values
    that were made once more for them, whose arrays are read-only; the first entry with a content
    always has its own.

    Args:
        given: The otherArgs as they were sent.
        fetch: Returns a stored content by its name.
    """

    def __init__(self, given: OtherArgs, fetch: Callable[[str], bytes]) -> None:
        self._given = given
        self._fetch = fetch
        self._main = {part.names: (content_name(part.data), part.data) for part in given.parts}
        self._lock = threading.Lock()  # guards all that follows
        self._contents: dict[str, Future[bytes]] = {}  # which tasks have left, by their names
        self._used: set[str] = set()
        self._copied = 0
        self._shared: dict[str, dict[str, Any]] = {}

    def entry(self, changes: Sequence[Change]) -> Any:
        """Return otherArgs as a task has left them.

        Raises:
            AWSBatchException: A content cannot be had.
            Exception: Whatever unpickling raises.
        """
        contents = dict(self._main)
        contents.update((one.names, (one.content, self._content(one))) for one in changes)
        values: dict[str, Any] = {}
        for content, data in contents.values():
            values.update(self._values(content, data))
        return self._given.assembled(values)

    def _content(self, change: Change) -> bytes:
        with self._lock:
            known = self._contents.get(change.content)
            if known is None:
                mine = self._contents[change.content] = Future()
        if known is not None:  # another thread may still be fetching it
            return known.result()
        try:
            data = self._fetch(change.content) if change.data is None else change.data
        except BaseException as error:
            with self._lock:  # the next one tries again
                del self._contents[change.content]
            mine.set_exception(error)
            raise
        mine.set_result(data)
        return data

    def _values(self, content: str, data: bytes) -> dict[str, Any]:
        with self._lock:
            own = content not in self._used or self._copied + len(data) <= COPIED_BYTES
            if own:
                self._used.add(content)
                self._copied += len(data)
            shared = self._shared.get(content)
        if not own and shared is not None:
            return shared
        values: dict[str, Any] = payload.loads(data, read_only=not own)
        if own:
            return values
        with self._lock:
            return self._shared.setdefault(content, values)
