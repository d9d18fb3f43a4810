"""What one side of the wire has and the other has not: one sentence, with both sides' versions."""

import sys
import types

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import LackingError, RemoteError
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.lacking import lacking_in_worker

PATIENCE = 60


def _install(version, *names):
    """Make this process have a library with these classes."""
    library = types.ModuleType("lacklib")
    library.__version__ = version
    for name in names:
        setattr(library, name, type(name, (), {"__module__": "lacklib"}))
    sys.modules["lacklib"] = library


def _remove():
    sys.modules.pop("lacklib", None)


def _give(name):
    import lacklib  # noqa: PLC0415 - only the worker has it

    return getattr(lacklib, name)()


def _refer_to_a_module():
    return sys.modules["lacklib"]


@pytest.fixture
def executor(cloud):  # noqa: ARG001 - the executor uses it
    with BatchExecutor(1) as executor:
        yield executor
    _remove()


def run(executor, function, *arguments):
    return executor.submit(function, *arguments).result(PATIENCE)


def test_a_class_that_the_worker_lacks(executor):
    """The worker's library is older: the error names the class, the task and both versions."""
    run(executor, _by_value(_install), "1.5", "Old")
    _install("2.0", "Old", "New")
    with pytest.raises(AttributeError) as caught:
        run(executor, len, [sys.modules["lacklib"].New()])
    assert str(caught.value) == (
        "len cannot be unpickled in a worker: the worker's lacklib 1.5 has no `lacklib.New`; main "
        "has lacklib 2.0. Install the same version of lacklib in the workers' image and here."
    )
    assert run(executor, len, [sys.modules["lacklib"].Old()]) == 1


def test_a_class_that_main_lacks(executor):
    """Main's library is older: the error says that it is the result, and names both versions."""
    run(executor, _by_value(_install), "2.0", "Old", "New")
    _install("1.5", "Old")
    with pytest.raises(AttributeError) as caught:
        run(executor, _by_value(_give), "New")
    assert str(caught.value) == (
        "The result of _give cannot be unpickled here: main's lacklib 1.5 has no `lacklib.New`; "
        "the worker has lacklib 2.0. Install the same version of lacklib here and in the workers' "
        "image."
    )
    assert type(run(executor, _by_value(_give), "Old")).__name__ == "Old"


def test_a_module_that_main_lacks(executor):
    """The result's class is of a library that main does not have."""
    run(executor, _by_value(_install), "2.0", "New")
    with pytest.raises(ModuleNotFoundError) as caught:
        run(executor, _by_value(_give), "New")
    assert str(caught.value) == (
        "The result of _give cannot be unpickled here: main has no module `lacklib`; the worker "
        "has lacklib 2.0. Install it here, or have the function return arrays and plain Python "
        "values."
    )


def test_a_module_that_the_worker_lacks(executor):
    """An argument's class is of a library that the worker does not have."""
    _install("2.0", "New")
    with pytest.raises(ModuleNotFoundError) as caught:
        run(executor, len, [sys.modules["lacklib"].New()])
    assert str(caught.value).startswith(
        "len cannot be unpickled in a worker: the worker has no module `lacklib`; main has lacklib "
        "2.0. "
    )
    assert caught.value.name == "lacklib"


def test_a_module_itself_that_one_side_lacks(executor):
    """A module that a function refers to is imported, not looked up: it is named as well."""
    _install("2.0")
    with pytest.raises(ModuleNotFoundError, match="the worker has no module `lacklib`"):
        run(executor, len, [sys.modules["lacklib"]])
    _remove()
    run(executor, _by_value(_install), "2.0")
    with pytest.raises(
        ModuleNotFoundError, match=r"_refer_to_a_module .* main has no module `lack"
    ):
        run(executor, _by_value(_refer_to_a_module))


def test_a_global_of_the_script_that_travels_by_name_is_named():
    """The error does not speak of versions, as no version of anything would help."""
    lacking = LackingError("name", "__main__.table", "no such thing", None)
    error = lacking_in_worker(lacking, "block 3,4")
    assert str(error) == (
        "block 3,4 cannot be unpickled in a worker: it has an object that says it is "
        "`__main__.table`, and workers do not have the main script. Make the object within the "
        "function, or define it in a module that is installed in the workers' image."
    )


class _Bomb:
    def __reduce__(self):
        return eval, ("1 / 0",)


def test_a_result_that_fails_in_main_says_so(executor):
    """Whatever goes wrong while main unpickles a result, it is not taken for the function's own."""

    def give():
        return _Bomb()

    _Bomb.__module__ = "__main__"
    with pytest.raises(
        RemoteError, match=r"The result of .*give cannot be unpickled here.*ZeroDiv"
    ):
        run(executor, give)


def test_the_error_survives_a_pickle_itself():
    """It travels from the worker to main with all that it knows."""
    error = LackingError("name", "lacklib.New", "no such thing", "1.5")
    there = payload.loads(payload.dumps(error, "An error"))
    assert vars(there) == vars(error)
    assert str(there) == str(error)


def _by_value(function):
    """Return the function as if it were of a script."""
    function.__module__ = "__main__"
    return function
