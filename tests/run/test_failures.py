"""What a worker's failure looks like in main."""

import pytest

from rios_plugin_awsbatch.run.failures import with_source
from tests.support.tracebacks import (
    FILE,
    SCRIPTS,
    comparable,
    function_of,
    source_missing,
    traceback_of,
)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_source_lines_are_added_to_a_traceback_without_them(script):
    """A traceback from a process without the script reads like one from a process with it."""
    fail = function_of(script)
    with source_missing():
        bare = traceback_of(fail)
    assert bare.count(FILE) > 0
    assert comparable(with_source(bare)) == traceback_of(fail)
    assert bare != traceback_of(fail)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_complete_traceback_stays_as_it_is(script):
    """Nothing is added where the worker has shown the source itself."""
    complete = traceback_of(function_of(script))
    assert with_source(complete) == complete


def test_a_traceback_of_files_that_nobody_has_stays_as_it_is():
    """A file that main cannot find either is named without a source line."""
    text = (
        'Traceback (most recent call last):\n  File "/no/such/file.py", line 3, in f\nKeyError: 1'
    )
    assert with_source(text) == text


def test_a_message_that_speaks_of_files_stays_as_it_is():
    """A line of the exception's message is no frame, even if it begins with the name of a file."""
    function_of(SCRIPTS["nested functions"])
    text = f'ValueError: see\nFile "{FILE}", line 3, for the reason'
    assert with_source(text) == text
