"""A script whose helpers pickle by name. Run with a file's name, it pickles what it calls.

Whoever unpickles it has another `__main__`.
"""

import copyreg
import functools
import sys

import numpy as np


@functools.cache
def lookup_table(n):
    """A cached helper."""
    return np.arange(n) * 2


lookup_table.note = "kept"


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Scene:
    bands = 3

    @functools.cached_property
    def gain(self):
        """Compute once."""
        return self.bands * 2

    @functools.lru_cache  # noqa: B019 - users do so
    def scaled(self, value):
        return value * self.gain

    @staticmethod
    @functools.cache
    def offset():
        return 1

    @functools.singledispatchmethod
    def kind(self, _value):
        return "any"

    @kind.register
    def _(self, _value: int):
        return "int"


@functools.singledispatch
def describe(_value):
    return "any"


@describe.register
def _(_value: int):
    return "int"


@describe.register
def _(_value: Scene):
    return "scene"


class Curry:
    """Names its function by module and name, as toolz does."""

    def __init__(self, func, *args, **keywords):
        self.func, self.args, self.keywords = func, args, keywords
        self.__name__ = self.__qualname__ = func.__qualname__
        self.__module__ = func.__module__

    def __call__(self, *args):
        return self.func(*self.args, *args, **self.keywords)

    def __reduce__(self):
        return _found, (f"{self.__module__}:{self.__qualname__}",)


def _found(name):
    module, _, attribute = name.partition(":")
    return getattr(sys.modules[module], attribute)


class Dispatcher:
    """Says that it is a global of its module, as decorators written in C do."""

    __slots__ = ("__dict__", "calls")

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.__wrapped__(*args)

    def __reduce__(self):
        return self.__qualname__


class Memory:
    """Names module and function apart, as numba does."""

    def __init__(self, function):
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args):
        return self.function(*args)

    def __reduce__(self):
        return _found_in, (self.__module__, self.__qualname__)


def _found_in(module, name):
    return getattr(sys.modules[module], name)


@Curry
def add(one, two):
    return one + two


@Dispatcher
def square(number):
    return number * square_of(number)


@Dispatcher
def square_of(number):
    return 1 if number == 0 else number


@Memory
def cube(number):
    return number**3


class Missing:
    """A mark that is a global of its module."""

    def __reduce__(self):
        return "MISSING"


MISSING = Missing()


def default(value=MISSING):
    return "missing" if value is MISSING else "given"


class Ratio:
    """A class with a way of its own, registered elsewhere."""

    def __init__(self, one, two):
        self.one, self.two = one, two


copyreg.pickle(Ratio, lambda ratio: (Ratio, (ratio.one, ratio.two)))

CALLS = {
    "lru_cache": lambda: int(lookup_table(10)[3]),
    "lru_cache's parameters": lambda: lookup_table.cache_parameters()["maxsize"],
    "lru_cache's attributes": lambda: (lookup_table.note, lookup_table.__doc__),
    "lru_cache calls itself": lambda: fibonacci(20),
    "lru_cache is called itself": fibonacci,
    "cached_property": lambda: Scene().gain,
    "cached_property's text": lambda: Scene.gain.__doc__,
    "lru_cache of a method": lambda: Scene().scaled(2),
    "cache of a static method": Scene.offset,
    "singledispatch": lambda: (describe(1), describe(Scene()), describe("")),
    "singledispatchmethod": lambda: (Scene().kind(1), Scene().kind("")),
    "singledispatch of a class that comes later": lambda: describe(True),  # noqa: FBT003 - a value
    "a function named as toolz does": lambda: Curry(add, 1)(2) + add(3, 4),
    "a function named as numba does": lambda: cube(2),
    "an object that says it is a global": lambda: square(3),
    "an object's slots": lambda: square.calls,
    "a mark": lambda: (default(), default(1)),
    "a reduction of copyreg": lambda: Ratio(1, 2).two,
}

if __name__ == "__main__":
    from pathlib import Path

    from rios_plugin_awsbatch.wire import payload

    pickled = {name: payload.dumps(call, name) for name, call in CALLS.items()}
    Path(sys.argv[1]).write_bytes(payload.dumps(pickled, "All"))
