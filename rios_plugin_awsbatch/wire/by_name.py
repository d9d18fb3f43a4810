"""Objects of the script that pickle by name, as ``__main__.lut`` for instance.

cloudpickle sends the functions and classes of a script by value, because workers lack the script.
But some objects say themselves that they are to be found by their name: functions with
`functools.lru_cache`, what toolz's `curry` makes, and decorators written in this way. If that name
is of the script, or of another module that travels by value, the object travels by value, too.
"""

import copyreg
import functools
import operator
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

import cloudpickle

__all__ = ["REDUCERS", "rebuild_cached_property", "rebuild_lru_cache", "rebuild_partial", "reduced"]

_SCRIPT: Final = ("__main__", "__mp_main__")
_PROTOCOL: Final = 5
_PLAIN: Final = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_USUAL_WAYS: Final = (object.__reduce__, object.__reduce_ex__)
_LRU_CACHE: Final = type(functools.lru_cache(lambda: None))
# What `functools.lru_cache` makes itself.
_OF_LRU_CACHE: Final = ("__wrapped__", "cache_parameters")


def reduced(value: Any, others: Mapping[type, Any]) -> Any:
    """Return how to pickle an object by value that would travel by its name in the script.

    Args:
        value: The object.
        others: Types whose objects are taken care of.

    Returns:
        As `pickle.Pickler.reducer_override`; `NotImplemented` if the object does no such thing.
    """
    kind = type(value)
    ways: tuple[Any, ...] = (kind.__reduce__, kind.__reduce_ex__)
    own_way = ways != _USUAL_WAYS
    if not own_way or isinstance(value, _PLAIN):
        return NotImplemented
    if not callable(value) and not _by_value(kind.__module__):
        return NotImplemented
    if kind in others:
        return NotImplemented
    reduction = value.__reduce_ex__(_PROTOCOL)
    if isinstance(reduction, str):
        by_name = _by_value(getattr(value, "__module__", None))
    else:
        by_name = _names_script(reduction[1])
    return _whole(value) if by_name else reduction


def rebuild_lru_cache(function: Any, parameters: dict[str, Any]) -> Any:
    """Return the function with a cache, which is empty."""
    return functools.lru_cache(**parameters)(function)


def rebuild_cached_property(function: Any, name: str | None) -> Any:
    """Return the property of a class where it has this name."""
    cached = functools.cached_property(function)
    cached.attrname = name
    return cached


def rebuild_partial(kind: Any, function: Any, positional: Any, keywords: Any) -> Any:
    """Return an object like `functools.partial`, of another class."""
    return kind(function, *positional, **keywords)


def _reduce_lru_cache(cached: Any) -> Any:
    if not _by_value(cached.__module__) and _importable(cached):
        return cached.__qualname__
    kept = {name: value for name, value in vars(cached).items() if name not in _OF_LRU_CACHE}
    return rebuild_lru_cache, (cached.__wrapped__, cached.cache_parameters()), kept


def _reduce_cached_property(cached: Any) -> Any:
    kept = {"__doc__": cached.__doc__}
    return rebuild_cached_property, (cached.func, cached.attrname), kept


def _reduce_weak(dictionary: Any) -> Any:
    return type(dictionary), (), None, None, iter(list(dictionary.items()))


def _whole(value: Any) -> Any:
    """Return how to pickle an object by its class and attributes, whatever it says itself."""
    kind = type(value)
    attributes = dict(getattr(value, "__dict__", {}))
    if all(hasattr(value, name) for name in ("func", "args", "keywords")):
        # toolz's `curry`; its class need not be written in Python.
        arguments = (kind, value.func, value.args, value.keywords or {})
        return rebuild_partial, arguments, attributes or None
    slots = {
        name: getattr(value, name)
        for name in copyreg._slotnames(kind)  # type: ignore[attr-defined]  # noqa: SLF001 - as `pickle` does
        if hasattr(value, name)
    }
    return copyreg.__newobj__, (kind,), (attributes, slots) if slots else attributes  # type: ignore[attr-defined]  # typeshed lacks it


def _by_value(module: Any) -> bool:
    """Say whether what a module defines travels by value."""
    if not isinstance(module, str):
        return False
    names = (*_SCRIPT, *cloudpickle.list_registry_pickle_by_value())
    return any(module == name or module.startswith(f"{name}.") for name in names)


def _names_script(arguments: Any) -> bool:
    """Say whether arguments of a reduction name a module whose content travels by value."""
    return any(
        _names_script(argument)
        if isinstance(argument, tuple)
        else isinstance(argument, str) and _by_value(argument.partition(":")[0])
        for argument in arguments
    )


def _importable(value: Any) -> bool:
    try:
        found = operator.attrgetter(value.__qualname__)(sys.modules[value.__module__])
    except (AttributeError, KeyError):
        return False
    return found is value


# How to pickle the objects of Python's own decorators, by type.
REDUCERS: Final[dict[type, Callable[[Any], Any]]] = {
    _LRU_CACHE: _reduce_lru_cache,
    functools.cached_property: _reduce_cached_property,  # has a lock before Python 3.12
    # `functools.singledispatch` keeps one.
    weakref.WeakKeyDictionary: _reduce_weak,
    weakref.WeakValueDictionary: _reduce_weak,
}
