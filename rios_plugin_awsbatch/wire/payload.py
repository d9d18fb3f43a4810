"""Objects to bytes and back: pickle protocol 5, buffers out of band, optionally compressed.

A payload is ::

    b"RAB1"  compression (1 byte)  number of buffers (4 bytes)  their sizes (8 bytes each), the pickle's first
    the pickle, then each buffer, each part beginning at a multiple of 64 bytes

and everything behind the compression byte is compressed as a whole. Arrays are not copied into the pickle, and
come back as views of one writable block of memory: a function that changes its input in place works as at home.
"""

import collections
import io
import pickle
import struct
import types
import zlib
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TypeAlias

import cloudpickle

from rios_plugin_awsbatch.errors import PayloadError, PicklingError

__all__ = ["Compression", "describe", "dumps", "loads"]

Compression: TypeAlias = Literal["none", "zlib"]

_MAGIC = b"RAB1"
_COUNT = struct.Struct("<I")
_ALIGNMENT = 64  # a cache line, and what numpy's vector loops like best
_PLAIN, _ZLIB = b"\0", b"\1"
_NO_FILE = "<dynamic-code>"  # what cloudpickle 3.1.3 writes in the place of a file's name


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    """Reduce code as cloudpickle does, and keep the name of its file, which users want to see in tracebacks."""
    make, arguments = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    named = (isinstance(argument, str) and argument == _NO_FILE for argument in arguments)
    return make, tuple(
        code.co_filename if is_file else a for a, is_file in zip(arguments, named, strict=True)
    )


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    """cloudpickle's, but code keeps the name of its file."""

    dispatch_table: ClassVar[Any] = collections.ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table
    )


def dumps(value: Any, what: str, *, compression: Compression = "none") -> bytes:
    """Pickle `value`, by value where it stands in a script, as cloudpickle does.

    Args:
        value: Any object that cloudpickle can pickle.
        what: What it is, for the error's message.
        compression: Whether the bytes are compressed.

    Raises:
        PicklingError: It cannot be pickled; names `what` and the reason.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
        parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    except Exception as error:
        raise PicklingError(f"{what} cannot be pickled: {type(error).__name__}: {error}") from error
    body = b"".join(_framed(parts))
    if compression == "zlib":
        return b"".join((_MAGIC, _ZLIB, zlib.compress(body, 1)))
    return b"".join((_MAGIC, _PLAIN, body))


def loads(data: bytes | bytearray | memoryview) -> Any:
    """Unpickle what `dumps` made. Only ever call it with authenticated bytes.

    Returns:
        The object; its arrays share no memory with `data`, and are writable unless those that were pickled were not.

    Raises:
        PayloadError: The bytes are damaged.
        Exception: Whatever unpickling raises, ModuleNotFoundError for instance.
    """
    pickled, *buffers = _parts(data)
    return pickle.loads(pickled, buffers=buffers)


def describe(function: Any) -> str:
    """Return the name by which a user knows `function`."""
    name = getattr(function, "__qualname__", None)
    if name is None and hasattr(function, "func"):
        return describe(function.func)
    if name is None:
        return f"an object of type {type(function).__qualname__}"
    module = getattr(function, "__module__", None)
    if isinstance(function, types.BuiltinFunctionType) or module in (None, "__main__"):
        return str(name)
    return f"{module}.{name}"


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


def _parts(data: bytes | bytearray | memoryview) -> list[memoryview]:
    view = memoryview(data)
    if view[: len(_MAGIC)] != _MAGIC or len(view) <= len(_MAGIC):
        raise PayloadError(
            f"A payload of {len(view)} bytes is none of this package, or is truncated."
        )
    packed = view[len(_MAGIC) + 1 :]
    try:
        body = memoryview(
            bytearray(zlib.decompress(packed) if view[len(_MAGIC)] == _ZLIB[0] else packed)
        )
        (count,) = _COUNT.unpack_from(body)
        sizes = struct.unpack_from(f"<{count}Q", body, _COUNT.size)
    except (struct.error, zlib.error) as error:
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
