"""An embedded AWS for the tests that create, change and delete stacks."""

import itertools

import pytest

from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.stack.delete import delete_stack
from tests.stack.support.account import exists
from tests.stack.support.stacks import create
from tests.support.helpers import UNKIND


@pytest.fixture(scope="session")
def stacks_aws():
    """An embedded AWS with the stack RIOS in it, beside which tests make others; not activated."""
    forks = "tests.support.forking:factory"
    with LocalAWS(
        workers=3, stop_grace=1.0, middleware=forks, activate=False, unkind=UNKIND
    ) as embedded:
        yield embedded


@pytest.fixture
def aws(stacks_aws):
    """That AWS, which this process uses during the test."""
    with stacks_aws.activated():
        yield stacks_aws


@pytest.fixture(scope="session")
def numbers():
    return itertools.count()


@pytest.fixture
def made(aws, numbers):  # noqa: ARG001 - the AWS that it is made in
    """A stack made for one test, and deleted after it unless the test has done so."""
    stack = create(f"Test{next(numbers)}", {"ComputeType": "fargate"})
    yield stack
    if exists(stack.name):
        list(delete_stack(stack))
