"""RIOS 2's otherArgs: what a task has changed travels, and is counted once."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rios_plugin_awsbatch.errors import PicklingError
from rios_plugin_awsbatch.hosts.rios2_otherargs import Change, split
from rios_plugin_awsbatch.wire.task_function import content_name
from tests.hosts.support.otherargs import MODEL, Plain, Stage, names


def others(**values):
    """Return otherArgs, as RIOS's, which is a class without anything of its own."""
    return types.SimpleNamespace(**values)


def test_only_what_a_task_has_changed_travels():
    """Other attributes stay where they are, however large."""
    stage = Stage(Plain(table=np.zeros(MODEL), count=0, names=["a"]))

    def function(other):
        other.count += int(other.table.sum()) + 1

    assert names(stage.changes(function)) == {("count",)}
    assert stage.stored == {}
    assert stage.entry(function).count == 1


def test_each_task_counts_from_mains_values():
    """So the sum over the tasks is what a single process would have counted."""
    stage = Stage(Plain(total=0, seen=[], histogram=np.zeros(4, int)))
    entries = []
    for number in range(5):

        def function(other, number=number):
            other.total += number
            other.seen.append(number)
            other.histogram[number % 4] += 1

        entries.append(stage.entry(function))
    assert sum(entry.total for entry in entries) == 10
    assert [one for entry in entries for one in entry.seen] == [0, 1, 2, 3, 4]
    assert list(sum(entry.histogram for entry in entries)) == [2, 1, 1, 1]


def test_attributes_that_share_an_object_still_share_it():
    """A change through one of them is seen through the other."""
    table = {"a": 0}
    stage = Stage(Plain(table=table, tables=[table], array=np.zeros(10), alone=[0]))

    def function(other):
        other.table["a"] += 1
        other.seen = other.tables[0]["a"]

    entry = stage.entry(function)
    assert entry.seen == 1
    assert entry.tables[0] is entry.table
    assert {part.names for part in stage.parts.parts} == {
        ("table", "tables"),
        ("array",),
        ("alone",),
    }


class Slotted:
    __slots__ = ("total",)

    def __init__(self):
        self.total = 0


def self_reference():
    other = Plain(total=0)
    other.me = other
    return other


@pytest.mark.parametrize(
    "other", [Slotted(), self_reference(), others(total=0)], ids=["slots", "itself", "namespace"]
)
def test_objects_that_cannot_be_taken_apart_travel_whole(other):
    """They are counted as exactly as others."""
    stage = Stage(other)

    def function(other):
        other.total += 2

    entries = [stage.entry(function) for _ in range(3)]
    assert sum(entry.total for entry in entries) == 6
    assert type(entries[0]) is type(other)


def test_what_a_task_deletes_is_missing_in_its_entry():
    """The next task has it again."""
    stage = Stage(Plain(total=1, other=2))

    def function(other):
        assert other.total == 1
        del other.total

    assert not hasattr(stage.entry(function), "total")
    assert not hasattr(stage.entry(function), "total")


def test_an_attribute_that_cannot_be_pickled_is_named():
    """On the way to the workers, and on the way back."""
    with pytest.raises(PicklingError, match=r"otherArgs\.stream cannot be pickled"):
        split(Plain(stream=(one for one in [])))
    stage = Stage(Plain())
    with pytest.raises(PicklingError, match=r"otherArgs\.stream cannot be pickled"):
        stage.changes(lambda other: setattr(other, "stream", (one for one in [])))


def test_entries_can_be_summed_in_place():
    """No entry has an object of another one, nor of main's."""
    main = Plain(total=np.zeros(3), unused=np.zeros(3))
    stage = Stage(main)

    def function(other):
        other.total += 1

    first, *rest = [stage.entry(function) for _ in range(4)]
    for entry in rest:
        first.total += entry.total
        first.unused += entry.unused + 1
    assert list(first.total) == [4, 4, 4]
    assert list(first.unused) == [3, 3, 3]
    assert list(main.unused) == [0, 0, 0]


def test_equal_contents_are_kept_once(monkeypatch):
    """Beyond a bound, entries share values, which are read-only then; the first has its own."""
    monkeypatch.setattr("rios_plugin_awsbatch.hosts.rios2_otherargs_list.COPIED_BYTES", 0)
    stage = Stage(Plain(table=0))
    change = stage.changes(lambda other: setattr(other, "table", np.ones(MODEL)), attempt=2)
    first, *rest = [stage.list.entry(change) for _ in range(5)]
    first.table += 1
    assert all((entry.table == 1).all() for entry in rest)
    assert all(np.shares_memory(entry.table, rest[0].table) for entry in rest)
    assert not rest[0].table.flags.writeable
    assert len(stage.fetched) == 1


def test_a_content_that_could_not_be_had_is_asked_for_again():
    """An error of the network is not kept."""
    stage = Stage(Plain(table=0))
    lost = content_name(b"never stored")
    change = (Change(("table",), lost, None),)
    for _ in range(2):
        with pytest.raises(KeyError):
            stage.list.entry(change)
    assert stage.fetched == [lost, lost]


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    large=st.booleans(),
    deliveries=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), max_size=20),
    order=st.randoms(use_true_random=False),
)
def test_whatever_runs_twice_is_counted_once(blocks, large, deliveries, order):
    """Sums, lists, histograms, flags and maxima are those of one process, with any duplicates."""
    size = MODEL if large else 4

    def function(other, value):
        if other.model is None:
            other.model = np.ones(size)
        if other.histogram is None:
            other.histogram = np.zeros(size, int)
        other.total += value
        other.histogram[value] += 1
        other.most = max(other.most, value)
        other.seen.append(value)
        if value == 3:
            other.flag = True

    stage = Stage(
        Plain(model=None, histogram=None, total=0, most=0, flag=False, seen=[]), workers=3
    )
    every = [(task, order.randrange(3)) for task in range(len(blocks))]
    every += [(task, worker) for task, worker in deliveries if task < len(blocks)]
    order.shuffle(every)
    attempts: dict[int, int] = {}
    results = []
    for task, worker in every:
        attempts[task] = attempts.get(task, 0) + 1
        value = blocks[task]
        changes = stage.changes(
            lambda other, value=value: function(other, value),
            worker=worker,
            attempt=attempts[task],
        )
        results.append((task, changes))
    order.shuffle(results)  # and main takes the first of each
    accepted = dict(reversed(results))
    entries = [stage.list.entry(changes) for changes in accepted.values()]
    assert sum(entry.total for entry in entries) == sum(blocks)
    assert max(entry.most for entry in entries) == max(blocks)
    assert any(entry.flag for entry in entries) == (3 in blocks)
    assert sorted(one for entry in entries for one in entry.seen) == sorted(blocks)
    histogram = sum(entry.histogram for entry in entries if entry.histogram is not None)
    assert list(histogram[:4]) == [blocks.count(value) for value in range(4)]
