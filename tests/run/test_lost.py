"""Messages that are lost: noticed, and sent again, a bounded number of times."""

import sys

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import TaskLostError
from tests.support.blocks import Stage, gated_block, noted_block, same_blocks
from tests.support.helpers import eventually

cloudpickle.register_pickle_by_value(sys.modules[__name__])
QUICK = {"visibility_timeout": 5, "idle_timeout": 60}


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def tasks_queue(cloud):
    return next(url for url in cloud.run_queues() if url.endswith("-tasks"))


@pytest.mark.parametrize("inline_limit", [1000, 700_000])
def test_tasks_of_a_purged_queue_are_computed_all_the_same(cloud, stage, caplog, inline_limit):
    """Whether their arguments ride in messages or are in the bucket; none is computed twice."""
    with BatchExecutor(1, inline_limit=inline_limit, **QUICK) as pool:
        first = pool.submit(gated_block, 0, stage.folder)
        stage.nth_call(1)
        lost = [
            pool.submit(lambda n, folder, _: noted_block(n, folder), n, stage.folder, bytes(5000))
            for n in (1, 2)
        ]
        eventually(lambda: cloud.messages(tasks_queue(cloud)) == 3)
        cloud.sqs.purge_queue(QueueUrl=tasks_queue(cloud))
        stage.open_gate()
        assert same_blocks([future.result(60) for future in (first, *lost)], [0, 1, 2])
    assert stage.counts() == {0: 1, 1: 1, 2: 1}
    assert "the messages of tasks were lost (2); sending them again" in caplog.text
    assert not cloud.run_queues()


def test_a_task_that_is_lost_again_and_again_is_given_up(cloud, stage):
    """Though another one is computed that was lost too; the error says what to look for."""
    with BatchExecutor(1, max_attempts=1, **QUICK) as pool:
        first = pool.submit(gated_block, 0, stage.folder)
        stage.nth_call(1)
        queue = tasks_queue(cloud)
        cloud.sqs.purge_queue(QueueUrl=queue)
        lost = pool.submit(noted_block, 1, stage.folder)

        def stolen():
            received = cloud.sqs.receive_message(QueueUrl=queue).get("Messages", [])
            for message in received:
                cloud.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return lost.done()

        eventually(stolen)
        stage.open_gate()
        assert same_blocks([first.result(60)], [0])
        with pytest.raises(TaskLostError, match=r"noted_block: its message was lost 2 times"):
            lost.result(60)
    assert stage.counts() == {0: 1}
