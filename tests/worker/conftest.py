"""Fixtures for the tests of workers."""

import pytest

from tests.worker.support import ManualRun


@pytest.fixture
def run(cloud, tmp_path):
    made = ManualRun(cloud, tmp_path)
    yield made
    made.close()
    made.exchange.store.clear()
    for url in made.queues:
        cloud.sqs.delete_queue(QueueUrl=url)
