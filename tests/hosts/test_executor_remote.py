"""A task for several calls: what the executor has workers call."""

import pytest

from rios_plugin_awsbatch.hosts.executor_remote import call_chunk
from rios_plugin_awsbatch.records import collected_blocks


def test_each_call_of_a_chunk_is_a_measured_block():
    """The calls are numbered within their task."""
    with collected_blocks() as blocks:
        assert call_chunk(divmod, (7,), {}, [(2,), (3,)]) == [(3, 1), (2, 1)]
    assert [block.name for block in blocks] == ["call 0", "call 1"]


def test_each_call_has_its_own_copy_of_common_arguments():
    """What a call does to a common argument does not reach the next call."""

    def append(items, item, *, also):
        items.append(item)
        also.append(item)
        return items + also

    assert call_chunk(append, ([],), {"also": []}, [(1,), (2,), (3,)]) == [[1, 1], [2, 2], [3, 3]]


def test_a_failing_call_ends_the_chunk_and_is_measured():
    """Calls after it are not made."""
    with collected_blocks() as blocks, pytest.raises(ZeroDivisionError):
        call_chunk(divmod, (1,), {}, [(1,), (0,), (1,)])
    assert [block.name for block in blocks] == ["call 0", "call 1"]
