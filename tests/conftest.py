"""Fixtures that the tests share."""

import contextlib
import os
import signal

import hypothesis
import pytest

from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run.leases import close_all
from tests.support.callers import USERS
from tests.support.helpers import UNKIND, WORKERS, Cloud, eventually
from tests.support.models import share_models

KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# The same examples each time: a test that fails does so for everybody.
hypothesis.settings.register_profile("tests", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure():
    """Let the scripts that tests start hear Ctrl-C, which a CI in the background may ignore.

    The folder `tests` does not go to the workers of each run: what they are to call is pickled by
    value.
    """
    os.environ.setdefault("RIOS_AWSBATCH_MODULES", "none")
    share_models()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Run one process more than there are cores, because tests often wait, but not too many."""
    return min((os.cpu_count() or 1) + 1, 8)


@pytest.fixture(scope="session")
def local_aws():
    """One embedded AWS for all tests of a process; not activated.

    Inside, this process may do what the stack's policy for main scripts allows.
    """
    # The interpreter of another environment for all workers: see CONTRIBUTING.
    python = os.environ.get("WORKER_PYTHON")
    forks = None if python else "tests.support.forking:factory"
    with LocalAWS(
        workers=WORKERS,
        stop_grace=2.0,
        worker_python=python,
        middleware=forks,
        activate=False,
        unkind=UNKIND,
        principal="main",
        users=USERS,
    ) as aws:
        yield aws


@pytest.fixture(autouse=True)
def _kind(request):
    """The session's embedded AWS is kind during a test with the mark `kind`."""
    if request.node.get_closest_marker("kind") is None:
        yield
        return
    with request.getfixturevalue("local_aws").control.odds():
        yield


@pytest.fixture(scope="session")
def session_cloud(local_aws):
    return Cloud(local_aws)


@pytest.fixture
def cloud(local_aws, session_cloud, monkeypatch):
    """The embedded AWS, which this process uses during the test; no run may be left afterwards."""
    # A loaded machine is slow; a broken one must not wait for ever.
    monkeypatch.setenv("RIOS_AWSBATCH_STARTUP_TIMEOUT", "120")
    # An unkind AWS hides messages from everybody by chance: a lost answer to a receive.
    monkeypatch.setenv("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "20")
    with local_aws.activated():
        yield session_cloud
        # A process that was told to end needs a moment; nothing else may be left at all.
        left = session_cloud.left()
        if left.keys() <= {"jobs", "processes"}:
            eventually(
                lambda: not session_cloud.left(), lambda: f"a run has left {session_cloud.left()}"
            )
        else:
            session_cloud.clear()  # the next test is not to blame
            raise AssertionError(f"a run has left {left}")


@pytest.fixture
def acting_as(cloud):
    """Return a function: from then on, this process may do what somebody may, instead of main."""
    with contextlib.ExitStack() as undo:

        def become(who):
            key = cloud.aws.environment_of(who)
            undo.callback(os.environ.update, {name: os.environ[name] for name in KEY})
            os.environ.update({name: key[name] for name in KEY})

        yield become


@pytest.fixture
def owner(cloud, acting_as):
    """Be the account's owner, who may do everything."""
    acting_as("owner")
    return cloud


@pytest.fixture
def submitter(acting_as):
    """Be somebody who may also submit with images that the stack does not name."""
    acting_as("submitter")


@pytest.fixture
def warm(cloud):
    """The embedded AWS for a test that leaves runs warm, as job managers do; they end with it."""
    try:
        yield cloud
    finally:
        close_all()  # what happens when the interpreter ends
