"""How `rios-awsbatch` starts and ends."""

import logging
import subprocess
import sys

import click
import pytest

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.cli.errors import presented_errors
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.programs import errors_as_sentences, exit_status
from tests.cli.support import run

HEAVY = {"boto3", "botocore", "pydantic", "pydantic_settings", "moto", "osgeo", "numpy", "rich"}
LOADED = """
import sys
from rios_plugin_awsbatch.cli.__main__ import commands
commands({words!r}, standalone_mode=False)
print(*sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_it_starts_without_what_only_commands_need(words):
    """`--help` and `--version` load neither boto3 nor pydantic."""
    code = LOADED.format(words=words, heavy=HEAVY)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout
    assert ended.stderr.split() == []


def test_its_version_is_the_package_s():
    """As pip says it."""
    assert run("--version").out == f"rios-awsbatch, version {__version__}\n"


def test_it_is_a_module_too():
    """For where the script is not on the path."""
    command = [sys.executable, "-m", "rios_plugin_awsbatch.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"rios-awsbatch, version {__version__}\n"


def test_an_unknown_command_is_a_usage_error():
    """Exit status 2, as for any program."""
    ended = run("stakc")
    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'stakc'" in ended.err


def test_an_unknown_setting_s_value_is_one_sentence():
    """The variable is named."""
    ended = run("jobs", RIOS_AWSBATCH_MAX_ATTEMPTS="many")
    assert ended.code == 1
    assert ended.err.startswith("rios-awsbatch: RIOS_AWSBATCH_MAX_ATTEMPTS='many' cannot be used")


def ending(error, present=presented_errors):
    """Return how a program ends that raises an error."""
    with pytest.raises(SystemExit) as caught, present("program"):
        raise error
    return caught.value.code


def test_an_error_of_this_package_is_one_sentence():
    """It begins with the program's name; the exit status is 1."""
    error = StackError("There is no stack.")
    error.__cause__ = KeyError("Stacks")
    assert ending(error) == "program: There is no stack."
    assert ending(error, errors_as_sentences) == "program: There is no stack."


def test_with_debug_messages_a_cause_is_shown(caplog):
    """Then the traceback is what one asked for."""
    caplog.set_level(logging.DEBUG)
    error = StackError("There is no stack.")
    assert ending(error) == "program: There is no stack."
    error.__cause__ = KeyError("Stacks")
    with pytest.raises(StackError), presented_errors("program"):
        raise error


def test_a_usage_error_is_shown_as_click_does(capsys):
    """With click's exit status."""
    assert ending(click.UsageError("Which script?")) == 2
    assert "Which script?" in capsys.readouterr().err


def test_no_for_an_answer_is_an_interrupt():
    """What a shell has for Ctrl-C."""
    assert ending(click.Abort()) == 130


def test_a_bug_keeps_its_traceback():
    """Nothing hides it."""
    with pytest.raises(KeyError), presented_errors("program"):
        raise KeyError("jobs")


@pytest.mark.parametrize(("returncode", "status"), [(0, 0), (3, 3), (-9, 137), (-15, 143)])
def test_an_exit_status_is_that_of_a_shell(returncode, status):
    """A signal counts from 128."""
    assert exit_status(returncode) == status


def test_logging_is_configured_for_all_programs_alike():
    """botocore's debug messages are never shown: they hold credentials."""
    code = (
        "import logging; from rios_plugin_awsbatch.programs import configure_logging as configure;"
        "configure('DEBUG', with_time=False); logging.getLogger('a').debug('seen');"
        "logging.getLogger('botocore').info('unseen')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "DEBUG seen\n")
