"""RIOS 2's otherArgs as they travel: in parts, so that a part that did not change stays at home.

::

    main                                   worker
    split: parts by attribute  -------->   OtherArgsKeeper: gives each task its copy, and finds
                                           what the task has changed
    OtherArgsList: an entry    <--------   Change: the parts that have changed; large ones are
    for each task                          stored under the name of their content, once
"""

import dataclasses
import enum
import io
import pickle
import types
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.pickling import Pickler

__all__ = ["Change", "Names", "OtherArgs", "Part", "pickled_values", "split"]

Names: TypeAlias = tuple[str, ...]

_WHOLE: Final = ""  # in place of an attribute's name, if the object cannot be taken apart
_PROTOCOL: Final = 5
# Objects of these types may be shared by attributes, as nobody changes them in place.
_UNCHANGING: Final = (
    types.NoneType,
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    tuple,
    frozenset,
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    types.CodeType,
    enum.Enum,
    np.dtype,
    np.generic,
    pickle.PickleBuffer,  # made while pickling
)


@dataclasses.dataclass(frozen=True)
class Part:
    """Attributes that belong together, because they have an object in common; mostly just one.

    Attributes:
        names: Their names.
        data: A pickled dictionary of those that exist, by name.
    """

    names: Names
    data: bytes


@dataclasses.dataclass(frozen=True)
class OtherArgs:
    """The otherArgs in parts.

    Attributes:
        shell: The pickled object without its attributes; None if it cannot be taken apart, and is
            the only value of the only part.
        parts: All attributes.
    """

    shell: bytes | None
    parts: tuple[Part, ...]

    def assembled(self, values: Mapping[str, Any]) -> Any:
        """Return an object with these values."""
        if self.shell is None:
            return values[_WHOLE]
        other = payload.loads(self.shell)
        vars(other).update(values)
        return other

    def values(self, other: Any) -> dict[str, Any]:
        """Return the values of an object that `assembled` has made; the reverse of it."""
        return {_WHOLE: other} if self.shell is None else vars(other)


@dataclasses.dataclass(frozen=True)
class Change:
    """A part that a task has left with another content than main's.

    Attributes:
        names: The names of its attributes.
        content: The name of the content, a pickled dictionary as in a `Part`.
        data: The content, if it is small; None if it is stored.
    """

    names: Names
    content: str
    data: bytes | None


def split(other: Any) -> OtherArgs:
    """Take otherArgs apart.

    Raises:
        PicklingError: An attribute cannot be pickled; the message names it.
    """
    groups = _groups(other) if _has_plain_attributes(other) else None
    if groups is None:
        return OtherArgs(None, (Part((_WHOLE,), payload.dumps({_WHOLE: other}, "otherArgs")),))
    kind = type(other)
    shell = payload.dumps(object.__new__(kind), "otherArgs")
    return OtherArgs(
        shell, tuple(Part(names, pickled_values(vars(other), names)) for names in groups)
    )


def pickled_values(values: Mapping[str, Any], names: Names) -> bytes:
    """Return the content of a part.

    Raises:
        PicklingError: A value cannot be pickled; the message names the attributes.
    """
    what = " and ".join(f"otherArgs.{name}" if name else "otherArgs" for name in names)
    return payload.dumps({name: values[name] for name in names if name in values}, what)


def _has_plain_attributes(other: Any) -> bool:
    """Return whether an object is nothing but its class and its ``__dict__``."""
    kind = type(other)
    defined = {name for base in kind.__mro__[:-1] for name in vars(base)}
    own_way = bool(defined & {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"})
    if own_way or not hasattr(other, "__dict__"):
        return False
    try:
        reduced = other.__reduce_ex__(_PROTOCOL)
    except Exception:  # noqa: BLE001 - pickling it says why
        return False
    # Python's own way: how to make it, its attributes (a tuple with slots), and items.
    make, arguments, state, *items = reduced
    attributes = state is None or isinstance(state, dict)
    return make.__name__ == "__newobj__" and arguments == (kind,) and attributes and not any(items)


def _groups(other: Any) -> list[Names] | None:
    """Return the names of attributes that have objects in common, group by group.

    None if an attribute refers to the object itself.
    """
    groups: dict[str, list[str]] = {}  # by each name of the group
    first: dict[int, str] = {}  # who has been the first to refer to an object, by its identity
    finders = []  # which keep alive what they have seen: identities are not used twice
    for name, value in vars(other).items():
        groups[name] = [name]
        finder = _Finder()
        finder.dump_quietly(value)
        finders.append(finder)
        if id(other) in finder.seen:
            return None
        for identity in finder.seen:
            owner = first.setdefault(identity, name)
            if groups[owner] is not groups[name]:
                groups[owner] += groups[name]
                for joined in groups[name]:
                    groups[joined] = groups[owner]
    unique = {id(group): group for group in groups.values()}
    return [tuple(group) for group in unique.values()]


class _Finder(Pickler):
    """Finds the objects that a value refers to and that can be changed in place."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), lambda _buffer: None)
        self.seen: set[int] = set()
        self._alive: list[Any] = []

    def dump_quietly(self, value: Any) -> None:
        """Look through a value, as far as it can be pickled: pickling it for good says why not."""
        try:
            self.dump(value)
        except Exception:  # noqa: BLE001 - see above
            return

    def persistent_id(self, value: Any) -> None:
        """Take note of an object; `pickle` calls this for each."""
        if not isinstance(value, _UNCHANGING):
            self.seen.add(id(value))
            self._alive.append(value)
