"""A runtime: modules and variables in one archive, unpacked where nothing else is."""

import io
import os
import stat
import zipfile

import pytest

from rios_plugin_awsbatch.errors import PayloadError
from rios_plugin_awsbatch.wire.runtime import MODULES, ModuleFile, pack_runtime, unpack_runtime

FILES = {
    "own.py": ModuleFile(b"x = 1\n"),
    "package/__init__.py": ModuleFile(b""),
    "package/data/t\u00e4ble.bin": ModuleFile(bytes(range(256))),
    "package/tool": ModuleFile(b"#!/bin/sh\n", executable=True),
}
VARIABLES = {"PLAIN": "1", "LINES": "one\ntwo", "EMPTY": "", "BYTES": os.fsdecode(b"\xff")}


def archive(*names, mode=0o100644):
    """Return an archive with such names, as nobody of ours would make it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("variables.json", "{}")
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            packed.writestr(info, b"/etc/passwd")
    return stream.getvalue()


def test_it_comes_out_as_it_went_in(tmp_path):
    """Contents, names, programs and variables, also those that are no plain text."""
    assert unpack_runtime(pack_runtime(FILES, VARIABLES), tmp_path) == VARIABLES
    found = {
        path.relative_to(tmp_path / MODULES).as_posix(): ModuleFile(
            path.read_bytes(), executable=bool(path.stat().st_mode & stat.S_IXUSR)
        )
        for path in (tmp_path / MODULES).rglob("*")
        if path.is_file()
    }
    assert found == FILES


def test_the_same_content_makes_the_same_bytes():
    """In whatever order it is given, and at whatever time."""
    one = pack_runtime(FILES, VARIABLES)
    assert pack_runtime(dict(reversed(FILES.items())), dict(reversed(VARIABLES.items()))) == one
    assert pack_runtime(FILES, {**VARIABLES, "PLAIN": "2"}) != one
    assert pack_runtime({**FILES, "own.py": ModuleFile(b"x = 2\n")}, VARIABLES) != one


@pytest.mark.parametrize(
    "name",
    [
        "/etc/own.py",
        "../own.py",
        "modules/../../own.py",
        "modules/..",
        "modules",
        "modules/folder/",
        "elsewhere/own.py",
        "modules\\..\\own.py",
    ],
)
def test_a_name_that_leads_outside_is_refused(name, tmp_path):
    """The error names it, and nothing is written."""
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(PayloadError, match="outside of them"):
        unpack_runtime(archive("modules/fine.py", name), folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_link_becomes_a_plain_file(tmp_path):
    """What an archive says that a file is has no effect."""
    unpack_runtime(archive("modules/link.py", mode=0o120777), tmp_path)
    link = tmp_path / MODULES / "link.py"
    assert not link.is_symlink()
    assert link.read_bytes() == b"/etc/passwd"


@pytest.mark.parametrize("data", [b"", b"no archive", pack_runtime(FILES, VARIABLES)[:-40]])
def test_what_is_damaged_is_refused(data, tmp_path):
    """It is one sentence."""
    with pytest.raises(PayloadError, match="are damaged"):
        unpack_runtime(data, tmp_path)
