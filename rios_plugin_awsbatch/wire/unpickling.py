"""Bytes to objects: what a pickle names is found, whichever version of numpy it came from.

numpy 2 renamed `numpy.core` to `numpy._core`, and moved a few classes. Pickles of either version
name what only that version has. Here, names are translated to those of the numpy that is
installed, without the warnings that numpy 2 has for the old ones.
"""

import contextlib
import functools
import importlib
import operator
import pickle
import sys
from collections.abc import Iterable
from typing import Any, Final

from rios_plugin_awsbatch.errors import LackingError

from .versions import library_version

__all__ = ["import_if_possible", "load"]

# What is named after another module than the one that has it in every version.
_HOMES: Final = {
    ("numpy", "chararray"): "numpy.core.defchararray",
    ("numpy.char", "chararray"): "numpy.core.defchararray",
    ("numpy", "recarray"): "numpy.core.records",
    ("numpy.rec", "recarray"): "numpy.core.records",
}
# numpy 1.25 moved them to `numpy.exceptions`, and numpy 2 took the old names away.
_EXCEPTIONS: Final = frozenset(
    {
        "AxisError",
        "ComplexWarning",
        "ModuleDeprecationWarning",
        "RankWarning",
        "TooHardError",
        "VisibleDeprecationWarning",
    }
)
# cloudpickle's function that rebuilds a module.
_IMPORTS_MODULES: Final = ("cloudpickle.cloudpickle", "subimport")
_FIRST_WITH_EXCEPTIONS: Final = (1, 25)
_FIRST_WITH_NEW_NAMES: Final = (2, 0)


def load(pickled: memoryview, buffers: Iterable[memoryview]) -> Any:
    """Unpickle an object.

    Raises:
        LackingError: The pickle names a module, or something in a module, that is not here.
        Exception: Whatever unpickling raises.
    """
    unpickler = _Unpickler(_Reader(pickled), buffers=buffers)  # type: ignore[arg-type]  # it reads memory, not bytes
    try:
        return unpickler.load()
    except ImportError as error:
        # Modules themselves are not looked for by `find_class`: rebuilding them imports them.
        if error.name is None:
            raise
        raise _lacking(error.name, "", error) from error


class _Reader:
    """A file over memory, of which nothing is copied."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._position = 0

    def read(self, size: int) -> memoryview:
        start = self._position
        self._position = start + size
        return self._memory[start : self._position]

    def readinto(self, target: Any) -> int:
        part = self.read(len(target))
        target[: len(part)] = part
        return len(part)

    def readline(self) -> bytes:
        # Only the oldest protocols have lines.
        raise pickle.UnpicklingError("A payload is damaged: it is not of protocol 5.")


class _Unpickler(pickle.Unpickler):
    """Python's, but for where it looks for what a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what the pickle names; each name of a pickle is asked for once."""
        if (module, name) == _IMPORTS_MODULES:
            return _imported
        try:
            if module.partition(".")[0] == "numpy":
                found = _found_in_numpy(module, name)
                if found is not None:
                    return found
                module, name = _translated(module, name)
            return super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            raise _lacking(module, name, error) from error


def _lacking(module: str, name: str, error: ImportError | AttributeError) -> LackingError:
    library = module.partition(".")[0]
    if isinstance(error, AttributeError):
        return LackingError("name", f"{module}.{name}", str(error), library_version(library))
    if isinstance(error, ModuleNotFoundError):
        missing = str(error.name)
        part = missing != library and library in sys.modules and missing.startswith(f"{library}.")
        version = library_version(library) if part else None
        return LackingError("name" if part else "module", missing, str(error), version)
    return LackingError("import", module, str(error), library_version(library))


@functools.cache
def _version() -> tuple[int, int]:
    numpy = importlib.import_module("numpy")
    major, minor = numpy.__version__.split(".")[:2]
    return int(major), int(minor)


def _translated(module: str, name: str) -> tuple[str, str]:
    """Return what the numpy of this process calls something."""
    if (module, name) == ("numpy", "bool"):
        return "numpy", "bool_"
    if module == "numpy" and name in _EXCEPTIONS and _version() >= _FIRST_WITH_EXCEPTIONS:
        return "numpy.exceptions", name
    if module == "numpy.exceptions" and _version() < _FIRST_WITH_EXCEPTIONS:
        return "numpy", name
    parts = _HOMES.get((module, name), module).split(".")
    if parts[1:2] in (["core"], ["_core"]):
        parts[1] = "_core" if _version() >= _FIRST_WITH_NEW_NAMES else "core"
    return ".".join(parts), name


def import_if_possible(name: str) -> Any:
    """Import a module that a function may use, as far as there is one here."""
    try:
        return _imported(name)
    except ImportError:  # the function says so if it does use it
        return None


def _imported(name: str) -> Any:
    """Return a module, wherever this numpy has it if it is one of numpy's."""
    if name.partition(".")[0] != "numpy":
        return importlib.import_module(name)
    try:
        return importlib.import_module(_translated(name, "")[0])
    except ModuleNotFoundError:
        # `numpy.rec` and `numpy.char` were attributes before they were modules.
        inside = operator.attrgetter(name.partition(".")[2])
        with contextlib.suppress(AttributeError):
            return inside(importlib.import_module("numpy"))
        raise


def _found_in_numpy(module: str, name: str) -> Any:
    """Return one of numpy's classes of dtypes where they have no names yet; None for others."""
    if module != "numpy.dtypes" or _version() >= _FIRST_WITH_EXCEPTIONS:
        return None
    numpy = importlib.import_module("numpy")
    try:
        return type(numpy.dtype(name.removesuffix("DType").lower()))
    except TypeError:  # a kind that this numpy does not know
        return None
