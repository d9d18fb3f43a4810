"""RIOS 2's otherArgs: what a task has changed is counted once, and what it has loaded stays."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rios_plugin_awsbatch.errors import PicklingError
from rios_plugin_awsbatch.hosts.rios2_otherargs import Change, split
from rios_plugin_awsbatch.hosts.rios2_otherargs_list import OtherArgsList
from rios_plugin_awsbatch.hosts.rios2_otherargs_remote import OtherArgsKeeper, changes_of
from rios_plugin_awsbatch.wire.task_function import content_name

MODEL = 100_000  # numbers, so it is large


class Unread(Exception):
    """As RIOS 2's half in the worker raises it."""


class Stage:
    """Main and its workers, without anything between them."""

    def __init__(self, other, workers=1):
        self.parts = split(other)
        self.other = other
        self.stored = {}
        self.fetched = []
        self.list = OtherArgsList(self.parts, self._fetch)
        self.workers = [OtherArgsKeeper(self.parts, passes=Unread) for _ in range(workers)]

    def _fetch(self, name):
        self.fetched.append(name)
        return self.stored[name]

    def _add(self, data):
        name = content_name(data)
        self.stored[name] = data
        return name

    def changes(self, function, *, worker=0, attempt=1):
        """Have a worker compute a task; return what it has changed."""

        def compute(other):
            return function(other), None

        _, changed = self.workers[worker].run(compute, first_attempt=attempt == 1)
        return changes_of(changed, self._add)

    def output(self, function):
        """Have a worker compute a task; return its outputs."""
        (outputs, _), _ = self.workers[0].run(
            lambda other: (function(other), None), first_attempt=True
        )
        return outputs

    def entry(self, function, **keywords):
        """Have a worker compute a task; return its entry of the list."""
        return self.list.entry(self.changes(function, **keywords))


def others(**values):
    """Return otherArgs, as RIOS's, which is a class without anything of its own."""
    return types.SimpleNamespace(**values)


class Plain:
    """A class as RIOS's OtherInputs."""

    def __init__(self, **values):
        vars(self).update(values)


def names(changes):
    return {change.names for change in changes}


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


def test_what_is_large_is_loaded_once_in_a_worker():
    """And it is stored once, and returned by the task that has loaded it."""
    stage = Stage(Plain(model=None, mean=None, calls=0), workers=2)
    loads = []

    def function(other):
        if other.model is None:
            loads.append(1)
            other.model, other.mean = np.arange(float(MODEL)), 7.0
        assert other.model[-1] == MODEL - 1
        assert other.mean == 7.0
        other.calls += 1

    entries = [stage.entry(function, worker=number % 2) for number in range(10)]
    assert len(loads) == 2
    assert len(stage.stored) == 1
    assert len(stage.fetched) == 1
    assert sum(entry.calls for entry in entries) == 10
    assert sum(entry.model is not None for entry in entries) == 2


@pytest.mark.parametrize("zero", [None, "missing"], ids=["None", "missing"])
def test_a_large_sum_that_the_function_makes_is_no_model(zero):
    """Blocks that add nothing to it are counted as nothing."""
    stage = Stage(Plain() if zero else Plain(histogram=None))
    entries = []
    for number in [3, 0, 4, 0, 0, 5]:

        def function(other, number=number):
            if getattr(other, "histogram", None) is None:
                other.histogram = np.zeros(MODEL, int)
            if number:
                other.histogram[number] += number

        entries.append(stage.entry(function))
    found = [entry.histogram for entry in entries if getattr(entry, "histogram", None) is not None]
    total = sum(found)
    assert total.sum() == 12
    assert list(total[3:6]) == [3, 4, 5]


def test_a_sum_that_is_begun_where_the_model_is_loaded_is_right():
    """Then the function would fail with the model alone, and it is given neither."""
    stage = Stage(Plain(model=None, histogram=None))

    def function(other):
        if other.model is None:
            other.model = np.ones(MODEL)
            other.histogram = np.zeros(3, int)
        other.histogram[1] += 1

    entries = [stage.entry(function) for _ in range(6)]
    assert list(sum(entry.histogram for entry in entries)) == [0, 6, 0]


@pytest.mark.parametrize("blocks", [[5, 7, 9], [0, 7, 9], [0, 0, 3, 4]])
def test_a_sum_that_begins_elsewhere_than_mains_value_is_right(blocks):
    """The function sets it where it loads the model; main's value stands for no block so far."""
    stage = Stage(Plain(model=None, count=-1))
    entries = []
    for number in blocks:

        def function(other, number=number):
            if other.model is None:
                other.model, other.count = np.ones(MODEL), 0
            other.count += number

        changes = stage.changes(function)
        entries += [stage.list.entry(changes)] if changes else []
    assert sum(entry.count for entry in entries) == sum(blocks)


def test_a_model_that_outputs_show_to_be_none_is_not_carried_over():
    """If a block comes out otherwise with it, each task loads it."""
    stage = Stage(Plain(seen=None))

    def function(other):
        new = other.seen is None
        other.seen = np.ones(MODEL)
        return new

    assert [stage.output(function) for _ in range(3)] == [True, True, True]


def test_a_second_model_is_loaded_once_too():
    """Whenever a task comes that needs it."""
    stage = Stage(Plain(forest=None, water=None, calls=0))
    loads = []

    def function(other, which):
        if getattr(other, which) is None:
            loads.append(which)
            setattr(other, which, np.full(MODEL, len(which)))
        other.calls += 1

    order = ["forest", "forest", "water", "forest", "water", "water"]
    entries = [stage.entry(lambda other, which=which: function(other, which)) for which in order]
    assert loads.count("forest") == 1
    assert loads.count("water") == 1
    assert sum(entry.calls for entry in entries) == 6


def test_another_attempt_at_a_task_neither_uses_nor_leaves_anything():
    """Whichever attempt main accepts, what it needs is there."""
    stage = Stage(Plain(model=None, calls=0))
    seen = []

    def function(other):
        seen.append(other.model is None)
        if other.model is None:
            other.model = np.ones(MODEL)
        other.calls += 1

    again = stage.changes(function, attempt=2)
    stage.changes(function)
    third = stage.changes(function, attempt=3)
    assert names(again) == names(third) == {("model",), ("calls",)}
    assert [seen[0], seen[1], seen[-1]] == [True, True, True]


def test_a_failed_task_leaves_nothing():
    """The next task does not see what it had changed."""
    stage = Stage(Plain(seen=[], model=None))

    def failing(other):
        other.seen.append("failed")
        other.model = np.ones(MODEL)
        raise KeyError("no")

    with pytest.raises(KeyError):
        stage.changes(failing)
    entry = stage.entry(lambda other: other.seen.append(other.model is None))
    assert entry.seen == [True]


def test_a_function_that_fails_with_a_model_fails_with_its_own_error():
    """It is called once more, with nothing carried over, and then its error counts."""
    stage = Stage(Plain(model=None))
    calls = []

    def function(other, bad):
        calls.append(other.model is None)
        other.model = np.ones(MODEL)
        if bad:
            raise KeyError("bad block")

    stage.changes(lambda other: function(other, bad=False))
    with pytest.raises(KeyError, match="bad block"):
        stage.changes(lambda other: function(other, bad=True))
    assert calls == [True, False, False, True]


def test_inputs_that_cannot_be_read_are_no_error_of_the_function():
    """The task is not computed once more."""
    stage = Stage(Plain(model=None))
    stage.changes(lambda other: setattr(other, "model", np.ones(MODEL)))
    calls = []

    def unread(_other):
        calls.append(1)
        raise Unread

    with pytest.raises(Unread):
        stage.changes(unread)
    assert len(calls) == 1


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
