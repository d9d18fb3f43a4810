"""Users see their file, their line and its text, although a worker does not have their script."""

import pytest

from rios_plugin_awsbatch import BatchExecutor
from tests.support.tracebacks import (
    FILE,
    SCRIPTS,
    comparable,
    function_of,
    traceback_of,
)

PATIENCE = 120


@pytest.fixture(scope="module")
def pool(local_aws, session_cloud):
    with local_aws.activated(), BatchExecutor(1) as pool:
        yield pool
    assert not {"objects", "queues"} & session_cloud.left().keys()


def remote_traceback(future):
    """Return the worker's traceback of a task, without the line that names the worker."""
    text, _, place = str(future.exception(PATIENCE).__cause__).strip('\n"').rpartition("\n[worker ")
    assert place.endswith("]")
    return comparable(text)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_workers_traceback_reads_like_one_of_main(pool, script):
    """It has the same frames, names, lines and source as the traceback of the same call in main."""
    fail = function_of(script)
    assert remote_traceback(pool.submit(fail)) == traceback_of(fail)


def test_a_traceback_of_a_chunk_begins_in_the_users_function(pool):
    """What the plugin calls to get there is not shown."""
    fail = function_of("def fail(number):\n    return 1 / number\n")
    with pytest.raises(ZeroDivisionError) as caught:
        list(pool.map(fail, [1, 0], chunksize=2))
    text = str(caught.value.__cause__)
    assert text.count("  File ") == 1
    assert f'File "{FILE}", line 2, in fail\n    return 1 / number' in text
