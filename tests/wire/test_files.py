"""Open files that functions and arguments refer to: read as in main, never written to in vain."""

# ruff: noqa: SIM115 - files are opened here to be pickled while they are open

import bz2
import csv
import gzip
import io
import os
import sys
import tempfile

import pytest

from rios_plugin_awsbatch.errors import PicklingError
from rios_plugin_awsbatch.wire import payload

LINES = "één\ntwee\ndrie\n"

OPEN_TO_READ = {
    "r": lambda path: path.open(encoding="utf-8"),
    "r+": lambda path: path.open("r+", encoding="utf-8"),
    "a+": lambda path: path.open("a+", encoding="utf-8"),
    "named temporary": lambda _: tempfile.NamedTemporaryFile("w+", encoding="utf-8"),
    "temporary": lambda _: tempfile.TemporaryFile("w+", encoding="utf-8"),
    "gzip": lambda path: gzip.open(path.with_suffix(".gz"), "rt", encoding="utf-8"),
}
OPEN_TO_WRITE = {
    "w": lambda path: path.open("w", encoding="utf-8"),
    "a": lambda path: path.open("a", encoding="utf-8"),
    "wb": lambda path: path.open("wb"),
    "r+b": lambda path: path.open("r+b"),
    "unbuffered": lambda path: path.open("wb", buffering=0),
    "named temporary": lambda _: tempfile.NamedTemporaryFile(),
    "gzip": lambda path: gzip.open(path, "wt"),
    "bz2": lambda path: bz2.open(path, "wb"),
    "pipe": lambda _: os.fdopen(os.pipe()[1], "w"),
}


def travelled(value):
    return payload.loads(payload.dumps(value, "A function"))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text(LINES, encoding="utf-8")
    with gzip.open(tmp_path / "lines.gz", "wt", encoding="utf-8") as file:
        file.write(LINES)
    return path


@pytest.fixture
def opened(path):
    """Open a file in a way of one of the tables; it has the lines, and the first has been read."""
    files = []

    def open_(how):
        file = how(path)
        files.append(file)
        if "w" in getattr(file, "mode", ""):
            file.write(LINES)
        file.seek(0)
        assert file.readline() == "één\n"
        return file

    yield open_
    for file in files:
        file.close()


@pytest.mark.parametrize("how", OPEN_TO_READ)
def test_a_text_file_is_read_in_a_worker_as_in_main(how, opened):
    """From where main has stopped, also if characters have several bytes; main's stays there."""
    file = opened(OPEN_TO_READ[how])
    copy = travelled(file)
    assert copy.readable()
    assert list(copy) == ["twee\n", "drie\n"]
    copy.seek(0)
    assert copy.read() == LINES
    assert getattr(copy, "name", None) == getattr(file, "name", None)
    assert file.read() == "twee\ndrie\n"


@pytest.mark.parametrize("how", OPEN_TO_READ)
def test_what_a_worker_writes_to_it_is_refused(how, opened):
    """However it is written: the error names the file and says what to do."""
    copy = travelled(opened(OPEN_TO_READ[how]))
    assert not copy.writable()
    for write in (
        lambda: copy.write("x"),
        lambda: print("x", file=copy),
        lambda: copy.writelines(["x"]),
        lambda: csv.writer(copy).writerow([1, 2]),
        lambda: copy.truncate(0),
    ):
        with pytest.raises(
            io.UnsupportedOperation, match=r"copy of .*file.*lost\. Return"
        ) as caught:
            write()
        assert "\n" not in str(caught.value)
        if how == "r":
            assert "lines.txt'" in str(caught.value)
    copy.seek(0)
    assert copy.read() == LINES


def test_a_copy_can_travel_on(opened):
    """A worker's result may have it; it is still a copy that cannot be written to."""
    again = travelled(travelled(opened(OPEN_TO_READ["r"])))
    assert again.readline() == "twee\n"
    with pytest.raises(io.UnsupportedOperation, match=r"lines\.txt"):
        again.write("x")


def test_a_worker_does_not_delete_a_temporary_file_of_main(opened):
    """The file goes when main closes it, not when a copy of it goes."""
    file = opened(OPEN_TO_READ["named temporary"])
    travelled(file).close()
    assert os.path.exists(file.name)  # noqa: PTH110 - as its own closer does


@pytest.mark.parametrize("how", OPEN_TO_WRITE)
def test_a_file_that_is_open_to_write_is_refused(how, path):
    """Before anything is computed, and with what to do instead."""
    with (
        OPEN_TO_WRITE[how](path) as file,
        pytest.raises(
            PicklingError,
            match=r"^A function cannot be pickled: .* to write to it.*Return the values",
        ),
    ):
        payload.dumps(lambda: file.write("x"), "A function")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.open("rb"), r"lines\.txt'.* is a binary file\. Pass its bytes"),
        (lambda path: path.open("rb", buffering=0), r"lines\.txt'.* is a binary file"),
        (lambda path: gzip.open(path.with_suffix(".gz")), r"lines\.gz'.* is a binary file"),
        (lambda path: path.open(encoding="ascii"), "cannot be copied: .*ascii.*Pass its text"),
        (lambda _: os.fdopen(os.pipe()[0]), "a file without a name.* cannot be copied"),
    ],
    ids=["binary", "unbuffered", "gzip", "other encoding", "pipe"],
)
def test_a_file_that_cannot_be_copied_is_refused(make, sentence, path):
    """The error names it and says what to pass instead."""
    with make(path) as file, pytest.raises(PicklingError, match=sentence):
        payload.dumps(file, "An argument")


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_closed_file_is_refused(mode, path):
    """The error names it."""
    file = path.open(mode)
    file.close()
    with pytest.raises(PicklingError, match=r"lines\.txt' is closed"):
        payload.dumps(file, "An argument")


class _Window(io.TextIOBase):
    """Standard output as notebooks replace it; it cannot be pickled."""

    def __reduce_ex__(self, protocol):
        raise TypeError("a window cannot be pickled")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("make", [_Window, io.StringIO])
def test_standard_output_is_the_workers(name, make, monkeypatch):
    """Whatever notebooks, pytest or the script put in its place: it is not lost, but logged."""
    monkeypatch.setattr(sys, name, make())
    original = getattr(sys, f"__{name}__")
    data = payload.dumps([getattr(sys, name), original], "A list")
    monkeypatch.setattr(sys, name, object())
    theirs, their_original = payload.loads(data)
    assert theirs is getattr(sys, name)
    assert their_original is original


def test_text_in_memory_is_a_value_like_any_other(monkeypatch):
    """Also if standard output is of the same type."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    value = io.StringIO("abc")
    copy = travelled(value)
    copy.write("x")
    assert (copy.getvalue(), value.getvalue()) == ("xbc", "abc")
