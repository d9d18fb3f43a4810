"""The wire's faults, with MiniStack's S3 and SQS behind them."""

import pytest

pytest.importorskip("ministack", reason="MiniStack is not installed (tox -e peer does it)")

from tests.peers.support.ministack import running
from tests.wire.test_faults_wire import *  # noqa: F403 - the same tests


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with running(tmp_path_factory.mktemp("peer"), workers=2) as both:
        yield both


@pytest.fixture(scope="module")
def faulty_cloud(peer):
    return peer[0]


@pytest.fixture
def faults(cloud, peer):
    yield peer[1]
    peer[1].set()
