"""A worker's process has the modules and variables that go with the function it calls."""

import os
import re
import subprocess
import sys

import cloudpickle
import pytest

from rios_plugin_awsbatch.wire.messages import Failure
from rios_plugin_awsbatch.wire.runtime import ModuleFile

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def seen(*names):
    """Return variables and the id of the process, as a function sees them."""
    return [os.environ.get(name) for name in names], os.getpid()


def own_module():
    """Return what a module of main's says, and the id of the process."""
    import rab_own  # noqa: PLC0415 - only the worker has it

    return rab_own.word(), os.getpid()


def path_of_children():
    """Return what a Python that the function starts imports."""
    code = "import rab_own; print(rab_own.word())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def module(text, **variables):
    """Return a runtime with a package that has data."""
    code = (
        "from pathlib import Path\n"
        "def word(): return Path(__file__).with_name('word.txt').read_text()\n"
    )
    files = {"rab_own/__init__.py": code.encode(), "rab_own/word.txt": text.encode()}
    return {name: ModuleFile(content) for name, content in files.items()}, variables


@pytest.fixture
def values(run):
    """Return a function that has one worker compute functions with their runtimes, in order."""
    run.start()

    def compute(*tasks):
        for number, (function, *arguments, runtime) in enumerate(tasks):
            run.send(run.task(function, *arguments, number=number, runtime=runtime))
            yield run.value()

    return compute


def test_modules_and_variables_are_there(values):
    """Also a variable with a newline, and in Pythons that the function starts."""
    runtime = module("one", LINES="a\nb", OMP_NUM_THREADS="1")
    first, second, third = values(
        (own_module, runtime),
        (seen, "LINES", "OMP_NUM_THREADS", "RIOS_AWSBATCH_RUN_KEY", runtime),
        (path_of_children, runtime),
    )
    assert (first[0], second[0], third) == ("one", ["a\nb", "1", None], "one")
    assert first[1] == second[1], "one process computes what has the same runtime"


def test_the_code_of_another_runtime_is_not_that_of_an_earlier_one(values):
    """What is imported stays imported, so there is a new process; as well for variables."""
    outcomes = list(
        values(
            (own_module, module("one")),
            (own_module, module("two")),
            (own_module, module("two", A="1")),
            (seen, "A", None),
            (own_module, module("one")),
        )
    )
    assert [outcome[0] for outcome in outcomes] == ["one", "two", "two", [None], "one"]
    assert len({pid for _, pid in outcomes}) == 5


def test_the_first_modules_need_no_other_process(values):
    """A function without a runtime came before: then they do."""
    first, second = values((own_module, module("one")), (own_module, module("one")))
    assert first == second


def failure(run, function, runtime):
    run.start()
    run.send(run.task(function, runtime=runtime))
    reply = run.reply()
    assert isinstance(reply, Failure), reply
    return reply


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import not_in_the_image", "No module named 'not_in_the_image'. Install that module"),
        ("import rab_failing.part", "rab_failing.*RIOS_AWSBATCH_MODULES=none"),
        ("open('/nowhere/table.csv')", "FileNotFoundError: .*no other files of main"),
        ("1 / 0", "ZeroDivisionError: division by zero. A worker has"),
    ],
)
def test_a_module_whose_import_fails_is_one_sentence(code, said, run, tmp_path, monkeypatch):
    """It names the module, the task and the reason; the traceback shows the line."""
    (tmp_path / "rab_failing.py").write_text("def word(): pass")
    monkeypatch.syspath_prepend(tmp_path)
    import rab_failing  # noqa: PLC0415 - it was not there before

    reply = failure(run, rab_failing.word, ({"rab_failing.py": ModuleFile(code.encode())}, {}))
    assert reply.error == "rios_plugin_awsbatch.errors.ModulesError"
    assert reply.text.startswith("Module rab_failing cannot be imported in a worker, for x=1 y=2: ")
    assert "\n" not in reply.text
    assert re.search(said, reply.text), reply.text
    assert 'rab_failing.py", line 1' in reply.traceback


def test_a_runtime_that_cannot_be_used_is_refused(run):
    """A process cannot have so many variables: the error says so, and the worker goes on."""
    many = {f"LONG_{number}": "x" * 100_000 for number in range(100)}
    reply = failure(run, abs, ({}, many))
    assert reply.reason == "refused"
    assert "RIOS_AWSBATCH_ENV" in reply.text
    run.send(run.task(abs, -1))
    assert run.value() == 1
