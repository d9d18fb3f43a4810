"""Helpers of a script that pickle by their name in it work where the script is not."""

import functools
import subprocess
import sys
import types
from pathlib import Path

import pytest

from rios_plugin_awsbatch.errors import LackingError, PicklingError
from rios_plugin_awsbatch.wire import payload
from tests.wire import script_of_decorators as script

SCRIPT = Path(script.__file__)
RIGHT = {
    "lru_cache": 6,
    "lru_cache's parameters": None,
    "lru_cache's attributes": ("kept", "A cached helper."),
    "lru_cache calls itself": 6765,
    "cached_property": 6,
    "cached_property's text": "Compute once.",
    "lru_cache of a method": 12,
    "cache of a static method": 1,
    "singledispatch": ("int", "scene", "any"),
    "singledispatchmethod": ("int", "any"),
    "singledispatch of a class that comes later": "int",
    "a function named as toolz does": 10,
    "a function named as numba does": 8,
    "an object that says it is a global": 9,
    "an object's slots": 0,
    "a mark": ("missing", "given"),
    "a reduction of copyreg": 2,
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """What the script has pickled, as the main script of another process."""
    file = tmp_path_factory.mktemp("script") / "calls"
    subprocess.run([sys.executable, SCRIPT, file], check=True, cwd=SCRIPT.parents[2])
    return payload.loads(file.read_bytes())


@pytest.mark.parametrize("name", RIGHT)
def test_a_helper_that_pickles_by_name_works_elsewhere(calls, name):
    """Python's own decorators, and those of others, do in a worker what they do at home."""
    assert payload.loads(calls[name])() == RIGHT[name]


def test_a_helper_may_be_the_function_itself(calls):
    """A function with a cache can be submitted as it is."""
    assert payload.loads(calls["lru_cache is called itself"])(10) == 55


def test_a_helper_of_an_installed_module_travels_by_name():
    """Where both sides have the module, there is one object, with one cache."""
    helper = script.lookup_table
    assert payload.loads(payload.dumps(helper, "A helper")) is helper
    assert payload.loads(payload.dumps(script.square, "A helper")) is script.square
    assert payload.loads(payload.dumps(script.MISSING, "A mark")) is script.MISSING


def test_a_local_helper_travels_by_value():
    """A cached function that has no name in its module is taken along."""

    @functools.lru_cache(maxsize=5)
    def local(number):
        return number + 1

    there = payload.loads(payload.dumps(local, "A helper"))
    assert there(1) == 2
    assert there.cache_parameters() == {"maxsize": 5, "typed": False}


def _uses_a_generator():
    return GENERATOR


def _calls_the_other():
    return [_uses_a_generator() for _ in range(3)]


class _Holder:
    def __init__(self):
        self.number, self.held = 1, [1, (n for n in "generator")]


GENERATOR = (n for n in "generator")


def test_a_function_needs_no_module_that_it_only_seems_to_use(monkeypatch):
    """Versions have other submodules; what is not used may be missing where the function goes."""
    library, used, private = (
        types.ModuleType(name) for name in ("lib_a", "lib_a.part", "lib_a.part.part")
    )
    library.part, used.part, used.one = used, private, 1
    for module in (library, used, private):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(globals(), "lib_a", library)
    pickled = payload.dumps(_by_value(_uses_a_part), "A function")
    monkeypatch.delitem(sys.modules, "lib_a.part.part")
    assert payload.loads(pickled)() == 1
    monkeypatch.delitem(sys.modules, "lib_a")
    with pytest.raises(LackingError, match="lib_a"):
        payload.loads(pickled)


def _uses_a_part():
    return lib_a.part.one  # noqa: F821 - the test makes it


def _by_value(function):
    """Return the function as if it were of a script."""
    function.__module__ = "__main__"
    return function


def _closure(held):
    def inner():
        return held

    return inner


def _default():
    def inner(value=GENERATOR):
        return value

    return inner


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (
            lambda: _by_value(_uses_a_generator),
            "the global GENERATOR of function _uses_a_generator",
        ),
        (
            lambda: _by_value(_calls_the_other),
            (
                "the global GENERATOR of function _uses_a_generator, "
                "the global _uses_a_generator of function _calls_the_other"
            ),
        ),
        (_Holder, "item 1 of a list, the attribute held of an object of class _Holder"),
        (lambda: {"a": 1, "b": GENERATOR}, "item 'b' of a dictionary"),
        (
            lambda: functools.partial(len, GENERATOR),
            "item 0 of a tuple, args of an object of class partial",
        ),
        (lambda: _closure(GENERATOR), "the variable held of function _closure.<locals>.inner"),
        (_default, "a default of function _default.<locals>.inner"),
    ],
)
def test_the_part_that_cannot_be_pickled_is_named(make, place):
    """The error says which global, attribute or item it is, not only of which type."""
    value = make()
    with pytest.raises(PicklingError, match=r"^It cannot be pickled: TypeError: ") as caught:
        payload.dumps(value, "It")
    assert f"(this is {place})" in str(caught.value)
