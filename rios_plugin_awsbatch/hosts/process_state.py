"""The state of main's process that blocks depend on, and how a worker reproduces it.

A block sees the same state in every task: a worker sets it before, and restores its own after.
What is not reproduced: environment variables (``env`` and ``submit --env`` set them), the locale,
the working folder, and functions that main has installed, such as error handlers.
"""

import contextlib
import ctypes
import dataclasses
import functools
import importlib
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rios_plugin_awsbatch.wire.variables import is_local_path, looks_secret

__all__ = ["ProcessState", "WarningFilter", "current_state"]

# In this order: since GDAL 3.7, what is said to gdal holds for ogr and osr too.
_MODULES: Final[tuple[str, ...]] = ("osgeo.gdal", "osgeo.ogr", "osgeo.osr")
_OF_THE_MACHINE: Final = {"GDAL_CACHEMAX"}  # main's memory is not the worker's
# The modes that call a function or an object of main's are not reproduced.
_NUMPY_MODES: Final = {"ignore", "warn", "raise", "print"}


@dataclasses.dataclass(frozen=True)
class WarningFilter:
    """A filter of Python's warnings.

    Attributes:
        action: What to do with a warning: ``error``, ``ignore`` ...
        message: The pattern of its text; empty for any.
        category: The module and the name of its class.
        module: The pattern of the module that warns; empty for any.
        line: The line that warns; 0 for any.
    """

    action: Any
    message: str
    category: tuple[str, str]
    module: str
    line: int


@dataclasses.dataclass(frozen=True)
class ProcessState:
    """What blocks can depend on.

    Attributes:
        raises: For each module of GDAL that is loaded, whether it raises exceptions.
        options: GDAL's configuration options that the script has set in its process.
        withheld: The names of those that stay in main because they look like credentials.
        numpy_errors: What numpy does about each kind of floating-point error.
        filters: The warning filters; the first that matches counts.
    """

    raises: Mapping[str, bool]
    options: Mapping[str, str]
    withheld: tuple[str, ...]
    numpy_errors: Mapping[str, str]
    filters: tuple[WarningFilter, ...]

    @contextlib.contextmanager
    def reproduced(self) -> Iterator[None]:
        """Give this process the state, and restore its own in the end."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._exceptions())
            stack.enter_context(self._configured())
            numpy = importlib.import_module("numpy")
            # Given `call`, it also restores what the task may set with `seterrcall`.
            errors = numpy.errstate(call=numpy.geterrcall(), **self.numpy_errors)
            stack.enter_context(errors)
            stack.enter_context(self._filtered())
            yield

    @contextlib.contextmanager
    def _exceptions(self) -> Iterator[None]:
        for name in self.raises:
            _imported(name)
        before = _exceptions()
        try:
            _set_exceptions(self.raises)
            yield
        finally:
            _set_exceptions(before)

    @contextlib.contextmanager
    def _filtered(self) -> Iterator[None]:
        if self.filters == _filters():
            # Left alone, because Python repeats all warnings after any change of the filters.
            before = list(warnings.filters)
            try:
                yield
            finally:
                if before != warnings.filters:
                    _set_filters(self.filters)
            return
        with warnings.catch_warnings():
            _set_filters(self.filters)
            yield

    @contextlib.contextmanager
    def _configured(self) -> Iterator[None]:
        gdal = _imported(_MODULES[0]) if _MODULES[0] in self.raises else None
        if gdal is None:
            yield
            return
        before = _options(gdal)
        try:
            for name, value in self.options.items():
                gdal.SetConfigOption(name, value)
            yield
        finally:
            after = _options(gdal)
            for name in after.keys() | before.keys() | self.options.keys():
                if name not in after or after[name] != before.get(name):
                    if hasattr(gdal, "SetThreadLocalConfigOption"):
                        gdal.SetThreadLocalConfigOption(name, None)
                    gdal.SetConfigOption(name, before.get(name))


def current_state() -> ProcessState:
    """Return the state of this process and thread."""
    gdal, numpy = sys.modules.get(_MODULES[0]), sys.modules.get("numpy")
    options = {} if gdal is None else _options(gdal)
    secret = {name for name, value in options.items() if looks_secret(name, value)}
    errors = {} if numpy is None else numpy.geterr()
    return ProcessState(
        raises=_exceptions(),
        options={
            name: value
            for name, value in sorted(options.items())
            if name not in secret and not _is_of_the_machine(name, value)
        },
        withheld=tuple(sorted(secret)),
        numpy_errors={kind: mode for kind, mode in errors.items() if mode in _NUMPY_MODES},
        filters=_filters(),
    )


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:  # a worker need not have what main has
        return None


def _loaded() -> dict[str, Any]:
    return {name: sys.modules[name] for name in _MODULES if name in sys.modules}


def _exceptions() -> dict[str, bool]:
    return {name: bool(module.GetUseExceptions()) for name, module in _loaded().items()}


def _set_exceptions(raises: Mapping[str, bool]) -> None:
    """Have GDAL's modules raise exceptions or not; those that are not named do not."""
    modules = _loaded()
    wanted = {name for name in modules if raises.get(name, False)}
    if {name for name, on in _exceptions().items() if on} != wanted:
        # GDAL 3.6 keeps a stack: the module that was turned on last must be turned off first. Which
        # one that is depends on the user's code.
        for module in list(modules.values())[::-1] * len(modules):
            if module.GetUseExceptions():
                with contextlib.suppress(RuntimeError):
                    module.DontUseExceptions()
        for name in sorted(wanted):
            modules[name].UseExceptions()
    elif not wanted and "osgeo.gdal" in modules:
        # Since GDAL 3.7, functions of GDAL warn if nobody has said whether they are to raise.
        modules["osgeo.gdal"].DontUseExceptions()


def _is_of_the_machine(name: str, value: str) -> bool:
    """Return whether an option is about main's machine: its memory, or a path of its disk."""
    return name.upper() in _OF_THE_MACHINE or is_local_path(value)


def _options(gdal: Any) -> dict[str, str]:
    """Return GDAL's options that were set in this process; the environment's are not among them."""
    every = gdal.GetConfigOptions() if hasattr(gdal, "GetConfigOptions") else _listed_options()
    # The bindings of GDAL 3.6 keep their stack of error handlers in options such as
    # `__chain_python_error_handlers`. It changes as the stack does, and must not in any other way.
    return {name: value for name, value in every.items() if not name.startswith("__")}


def _listed_options() -> dict[str, str]:
    """Same for bindings before GDAL 3.7, which cannot list the options; the library can."""
    library = _library(sys.modules["osgeo._gdal"].__file__ or "")
    if library is None:
        return {}
    options = {}
    for function in (library.CPLGetConfigOptions, library.CPLGetThreadLocalConfigOptions):
        strings = function()
        number = 0
        while strings and (pair := strings[number]) is not None:
            name, _, value = pair.decode(errors="replace").partition("=")
            options[name] = value
            number += 1
        library.CSLDestroy(strings)
    return options


@functools.cache
def _library(bindings: str) -> Any:
    """Return GDAL's library, with what `_listed_options` calls; None if it cannot be called."""
    try:
        library = ctypes.CDLL(bindings)
        for function in (library.CPLGetConfigOptions, library.CPLGetThreadLocalConfigOptions):
            function.restype = ctypes.POINTER(ctypes.c_char_p)
        library.CSLDestroy.argtypes = [ctypes.c_void_p]
    except (AttributeError, OSError):  # linked in another way
        return None
    return library


def _filters() -> tuple[WarningFilter, ...]:
    return tuple(
        WarningFilter(
            action,
            _pattern(message),
            (one.__module__, one.__qualname__),
            _pattern(module),
            line,
        )
        for action, message, category, module, line in warnings.filters
        for one in (category if isinstance(category, tuple) else (category,))
    )


def _pattern(pattern: Any) -> str:
    """Return the text of a pattern; Python's own filters have plain names in its place."""
    if pattern is None:
        return ""
    return rf"{re.escape(pattern)}\Z" if isinstance(pattern, str) else str(pattern.pattern)


def _set_filters(filters: tuple[WarningFilter, ...]) -> None:
    """Replace this process's filters; leave out those for warnings that it does not know."""
    warnings.resetwarnings()
    for one in filters:
        module, name = one.category
        category = getattr(sys.modules.get(module), name, None)
        if isinstance(category, type) and issubclass(category, Warning):
            warnings.filterwarnings(
                one.action, one.message, category, one.module, one.line, append=True
            )
