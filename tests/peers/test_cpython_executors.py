"""CPython's own tests of executors, on `BatchExecutor`.

None of them is ours: they come with the interpreter, if it has its package `test`.
"""

import functools
import importlib
import unittest

import pytest

from rios_plugin_awsbatch import BatchExecutor

PACKAGE = "test.test_concurrent_futures"
try:
    suite = importlib.import_module(PACKAGE)
except ImportError:
    pytest.skip(
        "this Python has no test package (Debian: libpython3.x-testsuite)", allow_module_level=True
    )

ELSEWHERE = "its script imports the executor from concurrent.futures"
NOT_OURS = {
    "test_interpreter_shutdown": ELSEWHERE,
    "test_submit_after_interpreter_shutdown": ELSEWHERE,
    "test_hang_gh83386": ELSEWHERE,
    "test_hang_issue39205": ELSEWHERE,
    "test_cancel_futures": "it wants some calls to have begun within milliseconds of their sending",
}


def part(module, name):
    """Return a class of the suite: one module before Python 3.12, then a package."""
    found = getattr(suite, name, None)
    return found or getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)


class Bed(unittest.TestCase):
    """What the suite's own mixins give to its tests."""

    __test__ = False  # pytest finds them below
    worker_count = 3

    def setUp(self):
        self.executor_type = functools.partial(BatchExecutor, max_workers=self.worker_count)
        self.executor = self.executor_type()

    def tearDown(self):
        self.executor.shutdown(cancel_futures=True)


class Calls(part("executor", "ExecutorTest"), Bed):
    pass


class Waiting(part("test_wait", "WaitTests"), Bed):
    pass


class Completed(part("test_as_completed", "AsCompletedTests"), Bed):
    pass


class Shutdown(part("test_shutdown", "ExecutorShutdownTest"), Bed):
    pass


def names_in(case):
    return unittest.defaultTestLoader.getTestCaseNames(case)


@pytest.fixture(scope="class")
def warm_workers(local_aws):
    """A run for all tests of a class, kept alive by an executor."""
    with local_aws.activated(), BatchExecutor(Bed.worker_count) as holder:
        assert holder.submit(abs, -1).result(120) == 1
        yield


def passes(case, name):
    """Run one test; fail with what it says."""
    if name in NOT_OURS:
        pytest.skip(NOT_OURS[name])
    result = unittest.TestResult()
    case(name).run(result)
    assert result.testsRun == 1 or result.skipped
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]


@pytest.mark.usefixtures("warm_workers")
class TestWarm:
    @pytest.mark.parametrize(
        ("case", "name"),
        [(case, name) for case in (Calls, Waiting, Completed) for name in names_in(case)],
    )
    def test_an_executor_does_what_pythons_own_do(self, case, name):
        """Calls, `wait` and `as_completed`."""
        passes(case, name)


@pytest.mark.parametrize("name", names_in(Shutdown))
def test_an_executor_ends_as_pythons_own_do(cloud, name):
    """Each time with a run of its own, which is gone afterwards."""
    passes(Shutdown, name)
    assert not cloud.run_queues()
