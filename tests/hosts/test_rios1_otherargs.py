"""Changes of RIOS 1.4's otherargs that are lost: what counts as one, and when main says so."""

import collections
import logging
import types

import numpy as np
import pytest

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.hosts.rios1_otherargs import WATCHED_BYTES, changed_names, digests
from rios_plugin_awsbatch.wire import payload
from tests.hosts.support.jobs import accumulate, blocks, double

WARNING = "With RIOS 1.4, only changes that it makes in the main script's own blocks remain"


class Model:
    """An object of the script's own."""

    def __init__(self):
        self.weights = {"red": np.arange(6.0), "names": ["red", "red"]}


def values():
    """Return values of every make."""
    return types.SimpleNamespace(
        words={"water", "forest", "city", "1", "2"},
        table={1: "a", "b": (2, None), 3.5: b"x"},
        ordered=collections.OrderedDict(a=1, b=2),
        default=collections.defaultdict(list, a=[1]),
        counter=collections.Counter("mississippi"),
        queue=collections.deque([1, 2], maxlen=3),
        array=np.arange(12).reshape(3, 4)[::-1],
        transposed=np.arange(12).reshape(3, 4).T,
        masked=np.ma.masked_equal(np.arange(5), 3),
        objects=np.array(["x", None, {1: 2}], dtype=object),
        number=np.float32(3),
        model=Model(),
        function=lambda x: x + 1,
        nothing=None,
    )


def use(given):
    """Read everything, as functions do."""
    return [
        *(sorted(map(str, value)) for value in (given.words, given.table, given.objects)),
        given.words & {"city"},
        given.ordered["a"],
        given.default.get("nowhere"),
        given.counter.most_common(1),
        given.queue[0],
        given.array.T @ given.array + given.transposed.sum() + given.masked.mean(),
        given.model.weights["red"].max(),
        given.function(given.number),
        repr(given),
    ]


CHANGES = {
    "words": lambda given: given.words.add("x"),
    "table": lambda given: given.table.update({1: "c"}),
    "default": lambda given: given.default["new"],
    "counter": lambda given: given.counter.update("a"),
    "queue": lambda given: given.queue.append(3),
    "array": lambda given: given.array.__setitem__((0, 0), 99),
    "masked": lambda given: given.masked.__setitem__(0, np.ma.masked),
    "model": lambda given: given.model.weights["red"].sort() or given.model.weights.pop("names"),
    "nothing": lambda given: setattr(given, "nothing", 0),
    "new": lambda given: setattr(given, "new", 1),
    "number": lambda given: delattr(given, "number"),
}


@pytest.mark.parametrize("travelled", [False, True])
def test_reading_is_no_change(travelled):
    """Of no kind of value, neither in main nor in a worker."""
    given = values()
    if travelled:
        given = payload.loads(payload.dumps(given, "Otherargs"))
    before = digests(given)
    assert before.keys() == vars(given).keys()
    use(given)
    assert changed_names(before, digests(given)) == ()


def test_an_attribute_that_is_given_the_same_value_is_not_changed():
    """Also if the pickle of all otherargs differs, because equal strings are no longer one."""
    name = str(10**9)
    given = types.SimpleNamespace(one=name, other=name)
    before, whole = digests(given), payload.dumps(given, "Otherargs")
    given.other = str(10**9)
    assert payload.dumps(given, "Otherargs") != whole
    assert changed_names(before, digests(given)) == ()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_named(name):
    """In place or not, new or gone."""
    given = values()
    before = digests(given)
    CHANGES[name](given)
    assert changed_names(before, digests(given)) == (name,)


def test_otherargs_without_attributes_are_compared_as_a_whole():
    """A script may pass a dict; attributes that come to an empty object are named."""
    given = {"total": 0}
    before = digests(given)
    assert changed_names(before, digests(given)) == ()
    given["total"] += 1
    assert changed_names(before, digests(given)) == ("",)
    empty = types.SimpleNamespace()
    before = digests(empty)
    empty.total = 1
    assert changed_names(before, digests(empty)) == ("total",)


def test_what_cannot_be_pickled_any_more_is_no_error():
    """The comparison says nothing then; it must not fail the job."""
    given = types.SimpleNamespace(total=0)
    before = digests(given)
    given.lines = (line for line in [])
    assert digests(given) == {}
    assert changed_names(before, digests(given)) == ()


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if WARNING in record.getMessage()]


def test_main_says_it_once_for_each_manager(warm, caplog):
    """In the round in which it is noticed, and with the names of the attributes."""
    caplog.set_level(logging.WARNING)
    for turn in (1, 2):
        given = types.SimpleNamespace(total=0, table=np.zeros(3), same="same")
        manager = AWSBatchJobManager(2)
        for _ in range(3):
            manager.runSubJobs(accumulate, blocks(2, otherargs=given))
            assert len(warnings(caplog)) == turn
        manager.finalise()
        assert len(warnings(caplog)) == turn
    assert warnings(caplog)[0].startswith("The function changes otherargs.total, otherargs.table. ")


def test_large_otherargs_are_looked_at_by_main_only(warm, caplog):
    """When the next round is sent, or at the end: workers need not pickle them for each block."""
    for rounds, ended in ((2, False), (1, True)):
        caplog.clear()
        given = types.SimpleNamespace(total=0, table=np.zeros(WATCHED_BYTES))
        manager = AWSBatchJobManager(2)
        manager.runSubJobs(accumulate, blocks(2, otherargs=given))
        assert warnings(caplog) == []
        for _ in range(rounds - 1):
            manager.runSubJobs(accumulate, blocks(2, otherargs=given))
        assert len(warnings(caplog)) == (not ended)
        manager.finalise()
        assert len(warnings(caplog)) == 1


def test_a_script_that_changes_them_between_two_applies_is_not_told(warm, caplog):
    """Each manager looks at its own rounds only; the first manager of one is the script's own."""
    given = types.SimpleNamespace(factor=1)

    def multiply(info, inputs, outputs, otherargs):
        outputs.image = inputs.image * otherargs.factor

    for factor in (2, 3):
        given.factor = factor
        manager = AWSBatchJobManager(2)
        outputs = manager.runSubJobs(multiply, blocks(2, otherargs=given))
        assert outputs[1].image.max() == factor
        manager.finalise()
    manager = AWSBatchJobManager(2)
    manager.runSubJobs(double, blocks(2))
    manager.finalise()
    assert warnings(caplog) == []
