"""Fixtures that the tests share."""

import signal

import hypothesis
import pytest

from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run import leases as live
from tests.support.helpers import Cloud, eventually

WORKERS = 3

# The same examples each time: a test that fails does so for everybody.
hypothesis.settings.register_profile("tests", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure():
    """Let the scripts that tests start hear Ctrl-C, which a CI in the background may ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def local_aws():
    """One embedded AWS for the whole session; not activated."""
    with LocalAWS(workers=WORKERS, stop_grace=2.0) as aws:
        yield aws


@pytest.fixture(scope="session")
def session_cloud(local_aws):
    return Cloud(local_aws)


@pytest.fixture
def cloud(local_aws, session_cloud, monkeypatch):
    """The embedded AWS, which this process uses during the test; no run may be left afterwards."""
    monkeypatch.setenv(
        "RIOS_AWSBATCH_STARTUP_TIMEOUT", "120"
    )  # a loaded machine is slow, a broken one not for ever
    with local_aws.activated():
        yield session_cloud
        # A process that was told to end needs a moment; nothing else may be left at all.
        left = session_cloud.left()
        if left.keys() <= {"jobs", "processes"}:
            eventually(
                lambda: not session_cloud.left(), lambda: f"a run has left {session_cloud.left()}"
            )
        else:
            raise AssertionError(f"a run has left {left}")


@pytest.fixture
def warm(cloud):
    """The embedded AWS for a test that leaves runs warm, as job managers do; they end with it."""
    try:
        yield cloud
    finally:
        live.close_all()  # what happens when the interpreter ends
