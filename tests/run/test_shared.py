"""What many tasks share is stored once per run, and a run of thousands of applies stays small."""

import gc
import tracemalloc

import pytest

from rios_plugin_awsbatch.errors import PayloadError
from rios_plugin_awsbatch.run.runtimes import Runtimes
from rios_plugin_awsbatch.run.shared import SharedPayloads
from rios_plugin_awsbatch.run.statistics import Totals
from rios_plugin_awsbatch.settings import Settings
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import RunKey
from rios_plugin_awsbatch.wire.store import PayloadStore

RUN = "20260727T101530-0badcafe"
SIZE, APPLIES = 5_000, 500
MOST_BYTES = 800  # of memory for each apply


@pytest.fixture
def store(cloud):
    store = PayloadStore(cloud.s3, cloud.bucket, f"runs/{RUN}/")
    yield store
    store.clear()


@pytest.fixture
def shared(store):
    """The payloads of a run without queues, which sends nothing."""
    exchange = Exchange(None, None, store, RunKey(RUN, "00" * 32), 100_000)
    return SharedPayloads(exchange, Totals(), "none", Runtimes(Settings(modules="none")))


def test_a_run_keeps_little_of_each_function(shared):
    """Each apply has functions of its own, which ride in messages; a run may have thousands."""

    def share(word):
        shared.share(lambda: word, "Function")

    for number in range(30):
        share(f"warm {number}".ljust(SIZE))
    tracemalloc.start()
    for number in range(APPLIES):
        share(f"cold {number}".ljust(SIZE))
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown / APPLIES < MOST_BYTES


def test_what_is_stored_is_stored_once(shared, store):
    """The same content has the same payload, for as long as the run lasts."""
    large = (("x" * 100_000,), {})
    first = shared.share(large, "otherArgs")
    store.clear()
    assert shared.share(large, "otherArgs") == first
    assert first.inline is None
    with pytest.raises(PayloadError, match="no longer in bucket"):
        store.get(first.key)
