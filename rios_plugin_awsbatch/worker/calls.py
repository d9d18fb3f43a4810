"""What the worker and the process that computes send each other: calls, and their outcomes.

The process keeps functions and shared arguments from call to call. The worker alone decides which:
it notes what the process holds (`Kept`), and each call says which content is new and which the
process must drop. The process obeys (`Cache`).
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Final, Generic, Literal, TypeVar

from rios_plugin_awsbatch.records import Measured
from rios_plugin_awsbatch.wire.compression import Compression

__all__ = ["NOT_BEGUN", "Cache", "Call", "Content", "Kept", "Raised", "Returned"]

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Content:
    """Bytes that many calls have in common.

    Attributes:
        name: Their name; equal bytes have the same name.
        data: The bytes; None if the process already holds them.
        evict: Names of what the process must drop first.
    """

    name: str
    data: bytes | None = None
    evict: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Call:
    """A request to call a function.

    Attributes:
        name: What users call the task.
        function: The pickled callable.
        shared: The pickled shared arguments, if there are any.
        arguments: The pickled pair (positional, keyword).
        attempt: The number of the attempt at the task, from 1.
        compression: How to compress the result.
        modules: The folder of the modules that main has sent, if there are any.
    """

    name: str
    function: Content
    shared: Content | None
    arguments: bytes
    attempt: int
    compression: Compression
    modules: str | None = None


NOT_BEGUN: Final = Measured()


@dataclasses.dataclass(frozen=True)
class Returned:
    """The call returned.

    Attributes:
        result: The pickled value.
        timing: How long it took.
        contents: What the value refers to by name, to be stored for main unless it is already.
        libraries: The versions of the libraries whose objects the value has.
    """

    result: bytes
    timing: Measured
    contents: tuple[Content, ...] = ()
    libraries: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Raised:
    """The call raised, or its arguments or result could not be unpickled or pickled.

    Attributes:
        reason: ``raised``, or ``refused`` if the result cannot be pickled.
        error: The exception's type, qualified.
        text: Its message.
        traceback: The formatted traceback, from the user's code on.
        versions: The versions in the process, for people.
        exception: The pickled exception, if it can be pickled and unpickled.
        timing: How long it took.
    """

    reason: Literal["raised", "refused"]
    error: str
    text: str
    traceback: str
    versions: str
    exception: bytes | None
    timing: Measured


class Kept:
    """The worker's account of what the process holds; drops the least recently used first.

    Args:
        size: How many contents the process keeps.
        size_bytes: How many bytes of them, if there is more than one.
    """

    def __init__(self, size: int, size_bytes: int = 64 * 1024 * 1024) -> None:
        self._size = size
        self._size_bytes = size_bytes
        self._names: collections.OrderedDict[str, int] = collections.OrderedDict()  # and bytes

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def use(self, name: str, data: bytes | None) -> Content:
        """Return the content to send for a call that uses `name`.

        Args:
            name: The content's name.
            data: Its bytes; None if it is kept.
        """
        if data is not None:
            self._names[name] = len(data)
        self._names.move_to_end(name)
        evict = []
        while len(self._names) > self._size or (
            len(self._names) > 1 and sum(self._names.values()) > self._size_bytes
        ):
            evict.append(self._names.popitem(last=False)[0])
        return Content(name, data, tuple(evict))


class Cache(Generic[Value]):
    """The contents that the process holds, as the worker orders it.

    Args:
        make: Makes the value to keep from a content's bytes.
    """

    def __init__(self, make: Callable[[bytes], Value]) -> None:
        self._make = make
        self._values: dict[str, Value] = {}

    def use(self, content: Content) -> Value:
        """Drop what `content` says, and return its value."""
        for name in content.evict:
            del self._values[name]
        if content.data is not None:
            self._values[content.name] = self._make(content.data)
        return self._values[content.name]
