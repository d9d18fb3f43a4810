"""The modules of main that travel: what it has imported, and its script names, of its own.

A module is the user's own if it is neither of the standard library nor installed in site-packages:
it stands beside the script, on PYTHONPATH, or in the folder of an editable install. What stands in
a hidden folder is a tool's, the debugger of an editor for instance, unless the script is there too.
A package with parts that were compiled for other machines than the workers' does not travel.

Workers must compute with the code that main has. So the files are read when they are first needed,
and again only when main loads a module anew (`importlib.reload` or IPython's autoreload), however
often somebody edits them meanwhile.
"""

import ast
import contextlib
import dataclasses
import importlib.util
import logging
import os
import re
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

from rios_plugin_awsbatch.errors import ModulesError
from rios_plugin_awsbatch.wire.runtime import ModuleFile

from .module_files import Room, read_file, read_package
from .module_metadata import metadata_of
from .module_platform import is_foreign, tell_foreign

__all__ = ["LocalModules", "is_installed", "top_levels_in"]

log = logging.getLogger(__name__)

NONE: Final = "none"
# Each image has its own, or needs none.
_NEVER: Final = {
    "__main__",
    "__mp_main__",
    "rios_plugin_awsbatch",
    "_rios_plugin_awsbatch_autoload",
    "rios",
    "osgeo",
    "osgeo_utils",
    "debugpy",
    "pydevd",
    "sitecustomize",
    "usercustomize",
}
_INSTALLED: Final = {"site-packages", "dist-packages"}
_LIBRARIES: Final = tuple(
    f"{os.path.abspath(path)}{os.sep}"  # noqa: PTH100 - a link in it stays a link
    for key in ("stdlib", "platstdlib", "purelib", "platlib")
    if (path := sysconfig.get_path(key))
)
# IPython's autoreload puts new code into functions, without a trace in the module.
_AUTORELOAD: Final = "IPython.extensions.autoreload"
_CELLS: Final = "In"  # IPython's list of what was entered
_IMPORT: Final = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+([\w., \t]+))", re.MULTILINE
)

_Stamps = Mapping[Path, tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class _Read:
    """A module of the top level, as it was read.

    Attributes:
        specs: Of the modules in it that main has imported, by name; main makes a new one when it
            loads a module anew.
        stamps: The times and sizes of their files.
        files: What travels.
    """

    specs: Mapping[str, ModuleSpec]
    stamps: _Stamps
    files: Mapping[str, ModuleFile]


class LocalModules:
    """The modules that travel with the functions of one run; for one thread at a time.

    Args:
        names: The setting `modules`.
        limit: How many bytes of files may travel.
        elsewhere: A folder whose modules workers have already.
        architecture: That of the workers' machines; empty if not known.
    """

    def __init__(
        self, names: str, limit: int, elsewhere: str | None = None, architecture: str = ""
    ) -> None:
        given = dict.fromkeys(name.strip().partition(".")[0] for name in names.split(","))
        self._only_named = NONE in given
        self._named = [name for name in given if name not in ("", NONE)]
        self._limit = limit
        self._architecture = architecture
        self._elsewhere = None if elsewhere is None else f"{os.path.abspath(elsewhere)}{os.sep}"  # noqa: PTH100 - as above
        self._at_home = set(_folder_of_script().split(os.sep))  # noqa: PTH206 - as above
        self._state = (0, 0)  # see `_state_of_main`, when it was last looked at
        self._read: dict[str, _Read] = {}
        self._files: dict[str, ModuleFile] = {}

    def files(self) -> Mapping[str, ModuleFile]:
        """Return the files that travel, by their path on the worker's path; the same if unchanged.

        Raises:
            ModulesError: A module that is named is not there, cannot be read, or is too large.
        """
        state = _state_of_main()
        if state != self._state or self._loaded_anew():
            self._state = state
            self._read = self._read_all()
            files = {path: file for one in self._read.values() for path, file in one.files.items()}
            if files != self._files:
                self._files = files
                size = sum(len(file.content) for file in files.values()) / 1024
                log.info("modules for the workers: %s (%.1f KiB)", ", ".join(self._read), size)
        return self._files

    def _loaded_anew(self) -> bool:
        return any(
            _spec_of(sys.modules.get(name)) is not spec
            for one in self._read.values()
            for name, spec in one.specs.items()
            if name in sys.modules
        ) or any(one.stamps != _stamps(one.specs) for one in self._read.values())

    def _read_all(self) -> dict[str, _Read]:
        room = Room(self._limit)
        imported = {} if self._only_named else self._imported()
        waiting = list(dict.fromkeys([*imported, *self._named]))
        known = {*waiting, *_NEVER}
        sources = [] if self._only_named else _sources_of_main()
        read: dict[str, _Read] = {}
        while waiting or sources:
            for name in waiting:
                read[name] = self._top_level(name, imported.get(name, {}), room)
                if name not in self._named and is_foreign(read[name].files, self._architecture):
                    tell_foreign(name)
                    read[name] = dataclasses.replace(read[name], files={})
                if not self._only_named:
                    files = read[name].files.items()
                    sources += [file.content for path, file in files if path.endswith(".py")]
            # What a function imports, main may never import.
            found = {name: source for source in sources for name in top_levels_in(source) - known}
            waiting = [
                name
                for name, source in found.items()
                if self._is_own(name) and _imports(source, name)
            ]
            known.update(found)
            sources = []
        return read

    def _imported(self) -> dict[str, dict[str, ModuleSpec]]:
        """Return the specs of the user's own modules, by the names of the top level."""
        found: dict[str, dict[str, ModuleSpec]] = {}
        for name, module in list(sys.modules.items()):
            spec = None if name.partition(".")[0] in _NEVER else _spec_of(module)
            if spec is None or not any(map(self._is_local, _places(spec))):
                continue
            top = spec.name.partition(".")[0]
            if top not in _NEVER:
                found.setdefault(top, {})[spec.name] = spec
        return found

    def _is_own(self, name: str) -> bool:
        if name in sys.stdlib_module_names:
            return False
        spec = _spec_named(name)
        return spec is not None and any(map(self._is_local, _places(spec)))

    def _is_local(self, path: str) -> bool:
        if path.startswith(_LIBRARIES) or not os.path.exists(path):  # noqa: PTH110 - hundreds
            return False
        if self._elsewhere is not None and path.startswith(self._elsewhere):
            return False
        parts = set(path.split(os.sep))  # noqa: PTH206 - as above
        hidden = any(part.startswith(".") for part in parts - self._at_home)
        return not hidden and _INSTALLED.isdisjoint(parts)

    def _top_level(self, name: str, specs: Mapping[str, ModuleSpec], room: Room) -> _Read:
        """Return a module as it was read before, unless main has loaded it anew."""
        known = self._read.get(name)
        current = {**known.specs, **specs} if known else specs
        if (
            known is not None
            and all(current[one] is spec for one, spec in known.specs.items())
            and known.stamps == _stamps(known.specs)
            and known.files.keys() >= {*_names_of(name, specs)}
        ):
            room.used += sum(len(file.content) for file in known.files.values())
            return dataclasses.replace(known, specs=current, stamps=_stamps(current))
        spec = specs.get(name) or _spec_named(name)
        if spec is None:
            raise ModulesError(
                f"RIOS_AWSBATCH_MODULES names {name}, but there is no module of that name here."
            )
        return _Read(current, _stamps(current), self._read_now(name, spec, specs, room))

    def _read_now(
        self, name: str, spec: ModuleSpec, specs: Mapping[str, ModuleSpec], room: Room
    ) -> dict[str, ModuleFile]:
        places = [Path(os.path.abspath(place)) for place in _places(spec)]  # noqa: PTH100 - as above
        files: dict[str, ModuleFile] = {}
        if spec.submodule_search_locations is None:
            for path in places:
                files[_file_name(name, path)] = read_file(name, path, room)
        else:
            imported = {Path(path) for one in specs.values() for path in _places(one)}
            imported = {path for path in imported if path.is_file()}
            # A namespace may also have folders among the installed packages.
            own = [path for path in places if self._is_local(str(path))] or places
            for folder in own:
                package = read_package(name, folder, imported, room)
                files |= {f"{name}/{path}": file for path, file in package.items()}
        return {**files, **metadata_of(name, places)}


def _folder_of_script() -> str:
    """Return the folder of the script, or that of the notebook."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.dirname(os.path.abspath(script)) if script else os.getcwd()  # noqa: PTH100, PTH109, PTH120 - as above


def _spec_of(module: types.ModuleType | None) -> ModuleSpec | None:
    """Return a module's spec; does not load one that is loaded lazily."""
    if not issubclass(type(module), types.ModuleType):  # some objects only say that they are one
        return None
    spec = object.__getattribute__(module, "__dict__").get("__spec__")
    return spec if isinstance(spec, ModuleSpec) else None


def is_installed(module: types.ModuleType) -> bool:
    """Return whether a module is installed in site-packages."""
    spec = _spec_of(module)
    places = [] if spec is None else _places(spec)
    return any(not _INSTALLED.isdisjoint(place.split(os.sep)) for place in places)  # noqa: PTH206 - as above


def _spec_named(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None:
        return _spec_of(module)
    with contextlib.suppress(Exception):  # finders are anybody's code
        return importlib.util.find_spec(name)
    return None


def _places(spec: ModuleSpec) -> Iterable[str]:
    """Return the folders of a package of the top level, else the file of a module."""
    if spec.submodule_search_locations is not None and "." not in spec.name:
        if spec.origin and spec.has_location:
            return [os.path.dirname(spec.origin)]  # noqa: PTH120 - hundreds of modules
        return list(spec.submodule_search_locations)
    return [spec.origin] if spec.origin and spec.has_location else []


def _file_name(name: str, path: Path) -> str:
    """Return the name of a module's file, which an editable install may have elsewhere."""
    return name + path.name[path.name.index(".") :]


def _names_of(name: str, specs: Mapping[str, ModuleSpec]) -> Iterator[str]:
    """Return the names that imported modules of a package have among what travels."""
    for module, spec in specs.items():
        if module != name and spec.origin and spec.has_location:
            package = spec.submodule_search_locations is not None
            inside = "/".join(module.split(".")[: None if package else -1])
            yield f"{inside}/{os.path.basename(spec.origin)}"  # noqa: PTH119 - hundreds


def _stamps(specs: Mapping[str, ModuleSpec]) -> _Stamps:
    """Return the times and sizes of the files of modules, if a change of them counts."""
    stamps = {}
    if _AUTORELOAD in sys.modules:
        for spec in specs.values():
            for path in map(Path, _places(spec)):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    stamps[path] = status.st_mtime_ns, status.st_size
    return stamps


def _sources_of_main() -> list[bytes]:
    """Return the text of the script, or those of the cells of a notebook."""
    main = sys.modules.get("__main__")
    with contextlib.suppress(OSError, TypeError, AttributeError):
        return [Path(getattr(main, "__file__", "")).read_bytes()]
    return [str(cell).encode(errors="replace") for cell in getattr(main, _CELLS, [])]


def _state_of_main() -> tuple[int, int]:
    """Return how many modules and cells there are in main: a new one may bring something."""
    return len(sys.modules), len(getattr(sys.modules.get("__main__"), _CELLS, []))


def top_levels_in(source: bytes) -> set[str]:
    """Return the names of the top level that a source may import: quick, but not exact."""
    names: set[str] = set()
    for match in _IMPORT.finditer(source):
        listed = [match[1]] if match[1] else match[2].split(b",")
        names.update(
            one.strip().split(b" ")[0].partition(b".")[0].decode(errors="replace") for one in listed
        )
    return names


def _imports(source: bytes, name: str) -> bool:
    """Return whether a source imports a module; a text may just have such a line."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return False
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [
        node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
    ]
    return name in {one.partition(".")[0] for one in names}
