"""Fixtures of the tests of AWS's clients."""

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from tests.aws.support import serving


@pytest.fixture(scope="module")
def server():
    """A server that answers in AWS's place, which this process asks: its answers, and clients."""
    with serving() as (endpoint, answers), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        environment.setenv("AWS_ACCESS_KEY_ID", "id")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield answers, Clients("ap-southeast-2")


@pytest.fixture
def answers(server):
    """The answers to come."""
    return server[0]


@pytest.fixture
def clients(server):
    """Clients that ask the server; making them takes its time, and they keep nothing of answers."""
    return server[1]
