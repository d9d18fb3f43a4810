"""What a worker's process needs before it unpickles anything: modules, environment variables.

A runtime is a zip archive: the variables in ``variables.json``, and modules under ``modules/``, the
folder that comes first on the worker's path. The same content makes the same bytes.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from rios_plugin_awsbatch.errors import PayloadError

__all__ = ["MODULES", "ModuleFile", "pack_runtime", "unpack_runtime"]

MODULES: Final = "modules"
_VARIABLES: Final = "variables.json"
_LEVEL: Final = 1  # of compression: most of it is text
_PLAIN: Final = 0o100644
_EXECUTABLE: Final = 0o100755


@dataclasses.dataclass(frozen=True)
class ModuleFile:
    """A file of a module, or of a package's data.

    Attributes:
        content: Its bytes.
        executable: Whether it may be run as a program.
    """

    content: bytes
    executable: bool = False


def pack_runtime(files: Mapping[str, ModuleFile], variables: Mapping[str, str]) -> bytes:
    """Return a runtime.

    Args:
        files: The modules' files, by their path on the worker's path, with slashes.
        variables: Environment variables.
    """
    contents = {f"{MODULES}/{name}": file for name, file in files.items()}
    contents[_VARIABLES] = ModuleFile(json.dumps(dict(variables), sort_keys=True).encode())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(name)  # of 1980, so that the time does not change the bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (_EXECUTABLE if contents[name].executable else _PLAIN) << 16
            archive.writestr(info, contents[name].content, compresslevel=_LEVEL)
    return stream.getvalue()


def unpack_runtime(data: bytes, folder: Path) -> dict[str, str]:
    """Unpack a runtime that has been authenticated; return its variables.

    Args:
        data: The archive.
        folder: An empty folder. The modules are then in its folder `MODULES`.

    Raises:
        PayloadError: It is damaged, or a name in it leads out of the folder; nothing is unpacked.
        OSError: A file cannot be written.
    """
    (folder / MODULES).mkdir()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            variables: dict[str, str] = json.loads(archive.read(_VARIABLES))
            files = [info for info in archive.infolist() if info.filename != _VARIABLES]
            for info in files:
                _refuse_outside(info.filename)
            for info in files:  # as plain files, whatever the archive says that they are
                path = folder / info.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(info))
                if info.external_attr >> 16 == _EXECUTABLE:
                    path.chmod(0o755)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise PayloadError(f"The modules that main has sent are damaged: {error}.") from error
    return variables


def _refuse_outside(name: str) -> None:
    path = PurePosixPath(name)
    inside = path.parts[:1] == (MODULES,) and ".." not in path.parts and len(path.parts) > 1
    if not inside or "\\" in name or name.endswith("/"):
        raise PayloadError(f"The modules that main has sent have a file {name!r}, outside of them.")
