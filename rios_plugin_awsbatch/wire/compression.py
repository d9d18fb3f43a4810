"""Ways to compress a payload; to add one, add its name and its codec here."""

import dataclasses
import zlib
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from rios_plugin_awsbatch.errors import PayloadError

__all__ = ["Compression", "compress", "decompress"]

Compression: TypeAlias = Literal["none", "zlib"]


@dataclasses.dataclass(frozen=True)
class _Codec:
    """One way to compress.

    Attributes:
        mark: The byte that names it in a payload; never reuse one.
        compress: Bytes to fewer bytes.
        decompress: And back.
        damage: What `decompress` raises for damaged bytes.
    """

    mark: int
    compress: Callable[[bytes], bytes]
    decompress: Callable[[memoryview], "bytes | memoryview"]
    damage: tuple[type[Exception], ...] = ()


_CODECS: Final[dict[Compression, _Codec]] = {
    "none": _Codec(0, lambda data: data, lambda data: data),
    # Level 1: higher levels cost more time than the network saves.
    "zlib": _Codec(1, lambda data: zlib.compress(data, 1), zlib.decompress, (zlib.error,)),
}


def compress(data: bytes, compression: Compression) -> tuple[bytes, bytes]:
    """Compress `data`.

    Returns:
        The byte that names the compression, and the compressed bytes.
    """
    codec = _CODECS[compression]
    return bytes([codec.mark]), codec.compress(data)


def decompress(mark: int, data: memoryview) -> bytes | memoryview:
    """Return what was compressed.

    Args:
        mark: The byte that names the compression.
        data: The compressed bytes.

    Raises:
        PayloadError: The compression is unknown here, or the bytes are damaged.
    """
    codec = next((codec for codec in _CODECS.values() if codec.mark == mark), None)
    if codec is None:
        raise PayloadError(
            f"A payload of {len(data)} bytes has an unknown compression ({mark}). Install the same "
            "version of rios-plugin-awsbatch in main and in the workers' image."
        )
    try:
        return codec.decompress(data)
    except codec.damage as error:
        raise PayloadError(f"A payload of {len(data)} bytes is damaged: {error}") from None
