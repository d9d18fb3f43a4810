"""RIOS 2's otherArgs: what a function has loaded stays in a worker; sums beside it are exact."""

import numpy as np
import pytest

from rios_plugin_awsbatch.records import collected_blocks, measured_block
from tests.hosts.support.otherargs import MODEL, Plain, Stage, Unread, names


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


def test_a_block_is_measured_once():
    """However often its task is computed, in order to see what can be carried over."""
    stage = Stage(Plain(model=None, calls=0))
    measured = []

    def function(other, number):
        with measured_block(f"block {number}"):
            if other.model is None:
                other.model = np.ones(MODEL)
            other.calls += 1
            if number == 3:
                other.model[0] = 7.0  # so that it has to be computed from main's values

    for number in range(5):
        with collected_blocks() as blocks:
            stage.changes(lambda other, number=number: function(other, number))
        measured += [block.name for block in blocks]
    assert measured == [f"block {number}" for number in range(5)]
