"""The executor's contract, with MiniStack's S3 and SQS."""

import pytest

pytest.importorskip("ministack", reason="MiniStack is not installed (tox -e peer does it)")

from tests.hosts.test_executor_contract import *  # noqa: F403 - the same tests
from tests.peers.support.ministack import running


@pytest.fixture(scope="module")
def session_cloud(tmp_path_factory):
    with running(tmp_path_factory.mktemp("peer"), workers=3) as (cloud, _):
        yield cloud


@pytest.fixture(scope="module")
def local_aws(session_cloud):
    return session_cloud.aws
