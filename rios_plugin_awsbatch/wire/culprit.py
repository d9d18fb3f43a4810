"""Which part of an object cannot be pickled: a global of a function, an attribute, an item."""

import io
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .pickling import Pickler

__all__ = ["culprit"]

_DEPTH: Final = 20
_SHOWN: Final = 4  # the innermost
_CONTAINERS: Final = (list, tuple, set, frozenset)


def culprit(value: Any) -> str:
    """Return where in `value` the part is that cannot be pickled, for people; "" if it is `value`.

    For instance "the global LOCK of function helper, the global helper of function compute".
    """
    path: list[str] = []
    seen = {id(value)}
    while len(path) < _DEPTH:
        found = next(
            (
                (name, part)
                for name, part in _parts(value)
                if id(part) not in seen and not _can_be_pickled(part)
            ),
            None,
        )
        if found is None:
            break
        name, value = found
        path.append(name)
        seen.add(id(value))
    return ", ".join(path[: -_SHOWN - 1 : -1]) + (", ..." if len(path) > _SHOWN else "")


def _can_be_pickled(value: Any) -> bool:
    try:
        # Buffers are dropped, so that no large array is copied.
        Pickler(io.BytesIO(), lambda _buffer: None).dump(value)
    except Exception:  # noqa: BLE001 - pickling runs the user's code
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object consists of, each with its name for people."""
    if isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield f"the object of method {value.__name__}", value.__self__
    elif isinstance(value, type):
        for name, part in vars(value).items():
            inner = part.__func__ if isinstance(part, classmethod | staticmethod) else part
            yield f"{name} of class {value.__qualname__}", inner
    elif isinstance(value, dict):
        for key, part in value.items():
            yield f"item {str(key)[:40]!r} of a dictionary", part
    elif isinstance(value, _CONTAINERS):
        for number, part in enumerate(value):
            yield f"item {number} of a {type(value).__name__}", part
    else:
        yield from _parts_of_object(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    place = f"of function {function.__qualname__}"
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield f"the global {name} {place}", function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"the variable {name} {place}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield f"a default {place}", default
    yield from _attributes(function, place)


def _names(code: types.CodeType) -> dict[str, None]:
    """Return the names that code and the functions in it use, in order."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_names(constant))
    return names


def _parts_of_object(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    place = f"of an object of class {kind.__qualname__}"
    yield f"the class {kind.__qualname__}", kind
    wrapped = getattr(value, "__wrapped__", None)
    if wrapped is not None:
        yield f"what is wrapped by {getattr(value, '__qualname__', kind.__qualname__)}", wrapped
    for name in ("func", "args", "keywords"):  # `functools.partial`
        if hasattr(value, name):
            yield f"{name} {place}", getattr(value, name)
    yield from _attributes(value, place)


def _attributes(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    try:
        attributes: Mapping[str, Any] = vars(value)
    except TypeError:
        return
    for name, part in attributes.items():
        yield f"the attribute {name} {place}", part
