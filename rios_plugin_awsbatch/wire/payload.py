"""Objects to bytes and back: pickle protocol 5, buffers out of band, optionally compressed.

A payload is::

    b"RAB1" | compression: 1 byte | number of parts: 4 bytes | size of each part: 8 bytes | parts

Everything behind the compression byte is compressed as a whole. The first part is the pickle, the
others are its buffers; each begins at a multiple of 64 bytes. Arrays are not copied into the
pickle. They come back as views of one writable block of memory, so a function that changes its
input in place works as it does at home.
"""

import hashlib
import io
import pickle
import struct
import sys
import types
from collections.abc import Iterable
from typing import Any, Final

import cloudpickle

from rios_plugin_awsbatch.errors import PayloadError, PicklingError

from .compression import Compression, compress, decompress
from .culprit import culprit
from .pickling import Pickler
from .unpickling import load

__all__ = ["describe", "digest", "dumps", "loads", "matches"]

_MAGIC: Final = b"RAB1"
_COUNT: Final = struct.Struct("<I")
_ALIGNMENT: Final = 64  # a cache line, and what numpy's vector loops like best
# The script's module in a child of multiprocessing that was not forked.
_SPAWNED_MAIN: Final = "__mp_main__"


def dumps(
    value: Any,
    what: str,
    *,
    compression: Compression = "none",
    libraries: set[str] | None = None,
) -> bytes:
    """Pickle `value`; what a script defines is pickled by value, as cloudpickle does.

    Args:
        value: Any object that cloudpickle can pickle.
        what: What it is, for the error's message.
        compression: How to compress the bytes.
        libraries: Takes the names of the libraries whose objects are in it.

    Raises:
        PicklingError: It cannot be pickled. The message names `what` and the reason.
    """
    parts = _pickled(value, what, libraries)
    return b"".join((_MAGIC, *compress(b"".join(_framed(parts)), compression)))


def digest(value: Any, what: str) -> bytes:
    """Return a digest of what `dumps` would pickle, with which to see whether `value` changes.

    Raises:
        PicklingError: It cannot be pickled.
    """
    content = hashlib.blake2b(digest_size=16)
    for part in _framed(_pickled(value, what)):
        content.update(part)
    return content.digest()


def loads(data: bytes | bytearray | memoryview, *, read_only: bool = False) -> Any:
    """Unpickle what `dumps` made. Call it with authenticated bytes only.

    Args:
        data: The bytes.
        read_only: Whether arrays may be read-only views of `data`, which is not copied then.

    Returns:
        The object. Its arrays share no memory with `data`. They are writable unless the pickled
        ones were not. With `read_only`, neither holds.

    Raises:
        PayloadError: The bytes are damaged.
        LackingError: They name a module that is not here, or something that it does not have here.
        Exception: Whatever unpickling raises.
    """
    pickled, *buffers = _parts(data, read_only=read_only)
    return load(pickled, buffers)


def matches(value: Any, data: bytes) -> bool:
    """Say whether `dumps` would make `data` of `value`, uncompressed; copies no arrays.

    Raises:
        PicklingError: The value cannot be pickled.
    """
    mark, empty = compress(b"", "none")
    expected = memoryview(data)
    position = 0
    for frame in (_MAGIC, mark, empty, *_framed(_pickled(value, "A value"))):
        size = len(frame)
        if not _equal(memoryview(frame), expected[position : position + size]):
            return False
        position += size
    return position == len(data)


def describe(function: Any) -> str:
    """Return the name by which a user knows `function`."""
    name = getattr(function, "__qualname__", None)
    if name is None and hasattr(function, "func"):
        return describe(function.func)
    if name is None:
        return f"an object of type {type(function).__qualname__}"
    module = getattr(function, "__module__", None)
    if isinstance(function, types.BuiltinFunctionType) or module in (
        None,
        "__main__",
        _SPAWNED_MAIN,
    ):
        return str(name)
    return f"{module}.{name}"


def _pickled(value: Any, what: str, libraries: set[str] | None = None) -> list[memoryview]:
    """Return the pickle and its buffers."""
    _register_spawned_main()
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    pickler = Pickler(stream, buffers.append)
    try:
        pickler.dump(value)
        parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    except Exception as error:
        too_deep = isinstance(error.__cause__, RecursionError)
        place = "" if too_deep else culprit(value)
        raise PicklingError(
            f"{what} cannot be pickled: {type(error).__name__}: {error}"
            + (f" (this is {place})" if place else "")
        ) from error
    if libraries is not None:
        libraries.update(str(kind.__module__).partition(".")[0] for kind in pickler.kinds)
    return parts


def _register_spawned_main() -> None:
    """Have what a spawned child's script defines pickled by value, as if it were ``__main__``."""
    module = sys.modules.get(_SPAWNED_MAIN)
    if module is not None and module.__name__ == _SPAWNED_MAIN:  # elsewhere, it is `__main__`
        cloudpickle.register_pickle_by_value(module)


def _equal(one: memoryview, other: memoryview) -> bool:
    if len(one) != len(other):
        return False
    # Views are compared item by item, so large items are quicker than bytes.
    whole = len(one) - len(one) % 8
    large = one[:whole].cast("Q") == other[:whole].cast("Q") if whole else True
    return large and one[whole:] == other[whole:]


def _framed(parts: list[memoryview]) -> Iterable[bytes | memoryview]:
    sizes = [part.nbytes for part in parts]
    header = _COUNT.pack(len(parts)) + struct.pack(f"<{len(parts)}Q", *sizes)
    yield header
    position = len(header)
    for part, size in zip(parts, sizes, strict=True):
        padding = -position % _ALIGNMENT
        yield bytes(padding)
        yield part
        position += padding + size


def _parts(data: bytes | bytearray | memoryview, *, read_only: bool) -> list[memoryview]:
    view = memoryview(data)
    if bytes(view[: len(_MAGIC)]) != _MAGIC or len(view) <= len(_MAGIC):
        raise PayloadError(
            f"These {len(view)} bytes are no payload of this package, or are truncated."
        )
    unpacked = decompress(view[len(_MAGIC)], view[len(_MAGIC) + 1 :])
    # Else a copy: the arrays must be writable, and share no memory with `data`.
    body = memoryview(unpacked).toreadonly() if read_only else memoryview(bytearray(unpacked))
    try:
        (count,) = _COUNT.unpack_from(body)
        sizes = struct.unpack_from(f"<{count}Q", body, _COUNT.size)
    except struct.error as error:
        raise PayloadError(f"A payload of {len(view)} bytes is damaged: {error}") from None
    parts = []
    position = _COUNT.size + 8 * count
    for size in sizes:
        position += -position % _ALIGNMENT
        parts.append(body[position : position + size])
        position += size
    if not parts or position != len(body):
        raise PayloadError(f"A payload of {len(view)} bytes is truncated.")
    return parts
