"""Fixtures of the tests of the embedded AWS."""

import pytest

from rios_plugin_awsbatch.local import LocalAWS
from tests.local.support import Account


@pytest.fixture(scope="session")
def account(local_aws):
    """The session's embedded AWS."""
    return Account(local_aws)


@pytest.fixture(scope="module")
def idle_account():
    """An embedded AWS in which no job ever starts."""
    with LocalAWS(workers=0, activate=False) as aws:
        yield Account(aws)
