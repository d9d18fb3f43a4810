"""Open files that a function or an argument refers to: how they are pickled.

A text file that main has open for reading travels as a copy of its text. What a worker wrote to the
copy would be lost, so the copy refuses it. Standard output becomes the worker's. What cannot travel
is refused with one sentence. cloudpickle alone would let a worker write to the copy, and would have
a worker delete main's named temporary file with the copy of it.
"""

import io
import pickle
import sys
import tempfile
from collections.abc import Callable
from typing import Any, Final, NoReturn

__all__ = ["ReadOnlyCopy", "reducers"]

_STREAMS: Final = ("stdout", "stderr", "__stdout__", "__stderr__")
_BINARY: Final = (io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
_RETURN: Final = "Return the values from the function, or write them to a bucket"


class ReadOnlyCopy(io.StringIO):
    """The copy of a text file that main has open.

    Args:
        text: All of the file's text.
        position: How many of its characters main had read.
        attributes: The file's name and mode, as far as it has them.
    """

    def __init__(self, text: str, position: int, attributes: dict[str, Any]) -> None:
        super().__init__(text)
        self.seek(position)
        vars(self).update(attributes)

    def writable(self) -> bool:
        """Return False."""
        return False

    def write(self, _text: str) -> int:
        """Refuse to lose what is written."""
        raise io.UnsupportedOperation(self._refusal())

    def truncate(self, _size: int | None = None) -> int:
        """Refuse, as the file itself would stay as it is."""
        raise io.UnsupportedOperation(self._refusal())

    def _refusal(self) -> str:
        return (
            f"Nothing can be written here: this is a copy of {_name(self)}, which the main script "
            f"has opened, and what a worker writes to it would be lost. {_RETURN}."
        )


def reducers() -> dict[type, Callable[[Any], Any]]:
    """Return how to pickle open files, by their type, for a pickler's dispatch table."""
    # Notebooks and pytest put objects of their own in the place of standard output.
    streams = {type(stream) for name in _STREAMS if (stream := getattr(sys, name)) is not None}
    return {
        **dict.fromkeys(streams, _reduce_stream),
        **dict.fromkeys(_BINARY, _reduce_binary),
        io.TextIOWrapper: _reduce_text,
        tempfile._TemporaryFileWrapper: _reduce_temporary,  # noqa: SLF001 - it has no other name
    }


def _reduce_stream(stream: Any) -> Any:
    for name in _STREAMS:
        if stream is getattr(sys, name):
            return getattr, (sys, name)
    return stream.__reduce_ex__(pickle.HIGHEST_PROTOCOL)


def _reduce_text(file: io.TextIOWrapper) -> Any:
    if any(file is getattr(sys, name) for name in _STREAMS):
        return _reduce_stream(file)
    _refuse_closed(file)
    if not file.readable():
        _refuse_writing(file)
    try:
        text, position = _text_of(file)
    except (OSError, ValueError) as error:
        raise pickle.PicklingError(
            f"{_name(file)}, which the main script has opened, cannot be copied: {error}. "
            "Pass its text instead"
        ) from error
    kept = {key: getattr(file, key) for key in ("name", "mode") if hasattr(file, key)}
    return ReadOnlyCopy, (text, position, kept)


def _text_of(file: io.TextIOWrapper) -> tuple[str, int]:
    """Return all text of a file, and how many characters main has read; it stays at its place."""
    if file.isatty():
        raise OSError("it is a terminal")
    place = file.tell()  # no count of characters
    try:
        rest = file.read()
        file.seek(0)
        text = file.read()
    finally:
        file.seek(place)
    return text, len(text) - len(rest)


def _reduce_binary(file: Any) -> Any:
    _refuse_closed(file)
    if file.writable():
        _refuse_writing(file)
    raise pickle.PicklingError(
        f"{_name(file)}, which the main script has opened, is a binary file. Pass its bytes, or "
        "the name of a file in a bucket"
    )


def _reduce_temporary(wrapper: Any) -> Any:
    reduce = _reduce_text if isinstance(wrapper.file, io.TextIOWrapper) else _reduce_binary
    return reduce(wrapper.file)


def _refuse_closed(file: Any) -> None:
    if file.closed:
        raise pickle.PicklingError(f"{_name(file)} is closed")


def _refuse_writing(file: Any) -> NoReturn:
    raise pickle.PicklingError(
        f"{_name(file)} is open in the main script to write to it, and workers cannot. {_RETURN}"
    )


def _name(file: Any) -> str:
    name = getattr(file, "name", None)  # a number, if a descriptor or nothing was opened
    return f"the file {name!r}" if isinstance(name, str) else "a file without a name"
