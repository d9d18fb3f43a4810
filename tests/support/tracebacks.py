"""Scripts that only this process has, and what a traceback of theirs looks like here."""

import contextlib
import linecache
import re
import sys
import textwrap
import traceback

FILE = "/nowhere/but/here/script.py"
# Python 3.11 and later mark the part of a line; a process without the source cannot.
_CARETS = re.compile(r"^[ |]*[~^]+$\n?", re.MULTILINE)


def function_of(source, file=FILE):
    """Return the function `fail` of a script whose source this process alone can find."""
    source = textwrap.dedent(source)
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace = {"__name__": "a_script"}
    exec(compile(source, file, "exec"), namespace)
    return namespace["fail"]


def traceback_of(function):
    """Return the traceback, from the function on, that calling a function here gives."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever the script raises
        error.__traceback__ = error.__traceback__.tb_next
        return comparable("".join(traceback.format_exception(error)))
    raise AssertionError(f"{function} raised nothing")


def comparable(text):
    """Return a traceback without what may differ between two processes."""
    text = _CARETS.sub("", text).strip()
    return re.sub(r"line repeated \d+ more", "line repeated N more", text)


@contextlib.contextmanager
def source_missing(file=FILE):
    """Be a process that lacks a script."""
    entry = linecache.cache.pop(file)
    try:
        yield
    finally:
        linecache.cache[file] = entry


NESTED = """
    def fail():
        def inner(number):
            return number / 0
        return inner(1)
"""
LAMBDAS = """
    fail = lambda: (lambda number: 1 / number)(0)
"""
METHODS = """
    class Sum:
        def __init__(self, total):
            self.total = total

        def add(self, what):
            return self.total + what

    def fail():
        return [Sum(total).add("x") for total in (1, 2)]
"""
CHAINED = """
    class Unreadable(Exception):
        pass

    def read():
        return {}["band"]

    def fail():
        try:
            read()
        except KeyError as error:
            raise Unreadable("no band") from error
"""
DURING_ANOTHER = """
    def fail():
        try:
            int("x")
        except ValueError:
            [].pop()
"""
RECURSION = """
    def fail(depth=0):
        return fail(depth + 1) + 1
"""
GROUP = """
    def check(number):
        raise ValueError(f"block {number}")

    def fail():
        errors = []
        for number in (1, 2):
            try:
                check(number)
            except ValueError as error:
                errors.append(error)
        raise ExceptionGroup("blocks", errors)
"""
NOTE = """
    def fail():
        error = ValueError("no band")
        error.add_note("in scene 7")
        raise error
"""
LONG_LINES = """
    def fail():
        return sum(
            [
                1,
                None,
            ]
        )
"""
SYNTAX = """
    def fail():
        eval("1 +")
"""
SCRIPTS = {
    "nested functions": NESTED,
    "lambdas": LAMBDAS,
    "methods": METHODS,
    "a cause": CHAINED,
    "a context": DURING_ANOTHER,
    "recursion": RECURSION,
    "an error of syntax": SYNTAX,
}
if sys.version_info >= (3, 11):
    SCRIPTS |= {"a group": GROUP, "a note": NOTE}
if sys.version_info < (3, 13):  # later ones show more than the first line
    SCRIPTS["a statement of several lines"] = LONG_LINES
