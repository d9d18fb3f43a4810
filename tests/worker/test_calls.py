"""The worker's account of what the process that computes keeps, and the process's cache."""

from hypothesis import given
from hypothesis import strategies as st

from rios_plugin_awsbatch.worker.calls import Cache, Content, Kept


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 4))
def test_the_process_holds_exactly_what_the_worker_accounts_for(names, size):
    """Whatever is used in whatever order, a content is sent once and found until it is evicted."""
    kept, cache = Kept(size), Cache(bytes.decode)
    held = set()
    for name in names:
        data = None if name in kept else name.encode()
        assert (data is None) == (name in held)
        content = kept.use(name, data)
        assert cache.use(content) == name
        held = held - set(content.evict) | {name}
        assert len(held) <= size


def test_the_least_recently_used_content_is_evicted():
    """Using a content keeps it longer."""
    kept = Kept(2)
    assert kept.use("a", b"1") == Content("a", b"1")
    kept.use("b", b"2")
    assert kept.use("a", None) == Content("a")
    assert kept.use("c", b"3") == Content("c", b"3", evict=("b",))
    assert ("a" in kept, "b" in kept, "c" in kept) == (True, False, True)


def test_large_contents_are_not_kept_beside_each_other():
    """The latest one is kept in any case, and with it what there is room for."""
    kept = Kept(8, size_bytes=10)
    kept.use("a", bytes(4))
    kept.use("b", bytes(5))
    assert kept.use("c", bytes(6)) == Content("c", bytes(6), evict=("a", "b"))
    assert kept.use("d", bytes(100)) == Content("d", bytes(100), evict=("c",))
    assert kept.use("d", None) == Content("d")


def test_a_value_is_made_once():
    """A content that the process holds is not made again."""
    made = []
    cache = Cache(made.append)
    cache.use(Content("a", b"1"))
    cache.use(Content("a"))
    assert made == [b"1"]
