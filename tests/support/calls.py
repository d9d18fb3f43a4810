"""What the tests of executors have called, and the executor-like things that call it.

Workers cannot import the tests' modules, so everything here travels by value.
"""

import concurrent.futures
import contextlib
import functools
import sys
import threading
import time
from pathlib import Path

import cloudpickle

from rios_plugin_awsbatch import AWSBatchJobManager, BatchExecutor

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class UserError(Exception):
    """An exception of the user's own."""

    def __init__(self, message, code):
        super().__init__(message, code)
        self.code = code


class StubbornError(Exception):
    """An exception that can be pickled, but not be unpickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class LockedError(Exception):
    """An exception that cannot be pickled."""

    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


def divide(a, b):
    return a / b


def divide_or_none(a, b):
    return a / b if b else None


def fail(error):
    raise error


def fail_stubbornly():
    raise StubbornError("one", "two")


def fail_locked():
    raise LockedError("nobody pickles me")


class SpeechlessError(Exception):
    """An exception whose message cannot be had."""

    def __str__(self):
        raise ValueError("no message")


def fail_speechless():
    raise SpeechlessError


def fail_chained():
    try:
        divide(1, 0)
    except ZeroDivisionError as error:
        raise UserError("a chain", 7) from error


def keywords(**given):
    return given


def locked_result():
    return [threading.Lock()]


def count_up():
    yield 1


def await_file(path, value=None, patience=120):
    """Return `value` as soon as there is a file; the test decides when."""
    deadline = time.monotonic() + patience
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear")
        time.sleep(0.01)
    return value


def touch_and_await(begun, path, value=None):
    """Say by a file that the task has begun, and return when there is another one."""
    Path(begun).touch()
    return await_file(path, value)


def add_one(array, *_more):
    """Change an argument in place."""
    array += 1
    return array.sum()


class Accumulator:
    """A callable with state of its own."""

    def __init__(self, total):
        self.total = total

    def add(self, number):
        return self.total + number

    __call__ = add


class _Call:
    """A job info whose user function calls any function: RIOS's contract, without rasters."""

    def __init__(self, arguments, named, otherargs):
        self.call = arguments, named
        self.otherargs = otherargs

    def prepareForPickling(self):
        return self

    def getFunctionParams(self):
        return (self.call, []) if self.otherargs is None else (self.call, [], self.otherargs)

    def getFunctionResult(self, params):
        return params[1][0]


class ManagerExecutor(concurrent.futures.Executor):
    """The job manager as an executor: calls are blocks, a partial's arguments are otherargs."""

    def __init__(self, max_workers):
        self.manager = AWSBatchJobManager(max_workers + 1)

    def submit(self, function, /, *arguments, **named):
        called = function.func if type(function) is functools.partial else function

        @functools.wraps(called)
        def carry_out(call, results, partial=((), {})):
            held, held_named = partial
            arguments, named = call
            results.append(called(*held, *arguments, **{**held_named, **named}))

        otherargs = (function.args, function.keywords) if called is not function else None
        return self.manager.startOneJob(carry_out, _Call(arguments, named, otherargs))

    def statistics(self):
        return self.manager.statistics()

    def shutdown(self, wait=True, *, cancel_futures=False):  # noqa: ARG002, FBT002 - Executor's own
        self.manager.finalise()


KINDS = {"BatchExecutor": BatchExecutor, "AWSBatchJobManager": ManagerExecutor}


@contextlib.contextmanager
def let_go(path):
    """Whatever happens to the test, let the tasks end that wait for a file."""
    try:
        yield path
    finally:
        path.touch()
