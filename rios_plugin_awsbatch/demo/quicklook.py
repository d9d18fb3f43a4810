"""A picture of an index as PNG, with a legend: brown, white and green, or shades of grey.

It needs numpy and the standard library, but no plotting library.
"""

import dataclasses
import math
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST", "draw", "write_png"]

LARGEST: Final = 1024  # pixels on a side
SMALL: Final = 512  # up to which a picture is drawn at twice its size
BROWN_WHITE_GREEN: Final = np.array(
    [
        (84, 48, 5),
        (191, 129, 45),
        (246, 232, 195),
        (245, 245, 245),
        (199, 234, 208),
        (73, 163, 92),
        (0, 78, 40),
    ]
)
GREY: Final = np.array([(0, 0, 0), (255, 255, 255)])
INK: Final = (51, 51, 51, 255)
PAPER: Final = (255, 255, 255, 255)
MARGIN: Final = 12
LETTER: Final = 2  # pixels on a side of each dot of a letter
LINE: Final = 7 * LETTER

# Five columns of seven dots each; the lowest bit is on top.
GLYPHS: Final = {
    " ": "0000000000",
    "-": "0808080808",
    ".": "0060600000",
    "0": "3e5149453e",
    "1": "00427f4000",
    "2": "4261514946",
    "3": "2141454b31",
    "4": "1814127f10",
    "5": "2745454539",
    "6": "3c4a494930",
    "7": "0171090503",
    "8": "3649494936",
    "9": "064949291e",
    "B": "7f49494936",
    "D": "7f4141221c",
    "E": "7f49494941",
    "G": "3e4149497a",
    "H": "7f0808087f",
    "I": "00417f4100",
    "N": "7f0408107f",
    "R": "7f09192946",
    "S": "4649494931",
    "T": "01017f0101",
    "V": "1f2040201f",
}

Picture = npt.NDArray[np.uint8]


def draw(
    values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], title: str, *, signed: bool
) -> Picture:
    """Draw an index.

    Args:
        values: The index (rows, columns).
        valid: Which pixels have one (rows, columns).
        title: For the legend, in capitals.
        signed: Whether to draw brown, white and green, with white for zero; else draw greys.

    Returns:
        The picture (rows, columns, red-green-blue-alpha). Pixels that are not valid are
        transparent.
    """
    scale = Scale.of(values[valid], signed=signed)
    picture = scale.paint(values)
    picture[~valid] = 0
    if max(values.shape) <= SMALL:
        picture = picture.repeat(2, axis=0).repeat(2, axis=1)
    return np.concatenate([picture, _legend(picture.shape[1], scale, title)])


@dataclasses.dataclass(frozen=True)
class Scale:
    """Which colours values have.

    Attributes:
        low: The value of the first colour, which lower values have, too.
        high: The value of the last colour, which higher values have, too.
        colours: Evenly spaced colours (colours, red-green-blue).
    """

    low: float
    high: float
    colours: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: npt.NDArray[np.float32], *, signed: bool) -> "Scale":
        """Make a scale for values, without the extreme 1 % on each side: they cost contrast."""
        low, high = (
            (float(value) for value in np.percentile(values, (1, 99)))
            if values.size
            else (-1.0, 1.0)
        )
        if signed:
            # Vegetation sets the scale. Open water may be off it.
            high = max(0.1, math.ceil(high * 10) / 10)
            return cls(-high, high, BROWN_WHITE_GREEN)
        return cls(low, high if high > low else low + 1.0, GREY)

    def paint(self, values: npt.NDArray[np.float32]) -> Picture:
        """Return the colours (rows, columns, red-green-blue-alpha) of values (rows, columns)."""
        stops = np.linspace(self.low, self.high, len(self.colours))
        channels = [np.interp(values, stops, self.colours[:, channel]) for channel in range(3)]
        channels.append(np.full(values.shape, 255.0))
        return np.stack(channels, axis=-1).round().astype(np.uint8)


def _legend(width: int, scale: Scale, title: str) -> Picture:
    heading = _letters(title)
    left = 2 * MARGIN + heading.shape[1]
    length = width - MARGIN - left
    ticks = [
        _letters(_number(value)) for value in (scale.low, (scale.low + scale.high) / 2, scale.high)
    ]
    legend = np.full((3 * MARGIN + 2 * LINE, width, 4), PAPER, dtype=np.uint8)
    if length < 2 * sum(tick.shape[1] for tick in ticks):
        return legend[:0]  # no room for text
    values = np.linspace(scale.low, scale.high, length, dtype=np.float32)
    legend[MARGIN : MARGIN + LINE, left : left + length] = scale.paint(values[np.newaxis])
    _print(legend, heading, MARGIN, MARGIN)
    for tick, place in zip(ticks, (0.0, 0.5, 1.0), strict=True):
        _print(legend, tick, 2 * MARGIN + LINE, left + round((length - tick.shape[1]) * place))
    return legend


def _print(picture: Picture, mask: npt.NDArray[np.bool_], top: int, left: int) -> None:
    picture[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = INK


def _number(value: float) -> str:
    hundred = 100
    return f"{value:.0f}" if abs(value) >= hundred else f"{round(value, 2) + 0.0:g}"


def _letters(text: str) -> npt.NDArray[np.bool_]:
    columns = np.frombuffer(
        bytes.fromhex("00".join(GLYPHS[letter] for letter in text)), dtype=np.uint8
    )
    mask = np.unpackbits(columns[np.newaxis], axis=0, bitorder="little")[:7].astype(np.bool_)
    return mask.repeat(LETTER, axis=0).repeat(LETTER, axis=1)


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture (rows, columns, red-green-blue-alpha) as PNG.

    Raises:
        OSError: The file cannot be written.
    """
    rows, columns, _ = picture.shape
    unfiltered = np.zeros((rows, 1), dtype=np.uint8)
    pixels = np.concatenate([unfiltered, picture.reshape(rows, -1)], axis=1).tobytes()
    bits, rgba = 8, 6
    header = struct.pack(">IIBBBBB", columns, rows, bits, rgba, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            file.write(
                struct.pack(">I", len(data))
                + kind
                + data
                + struct.pack(">I", zlib.crc32(kind + data))
            )
