"""What RIOS 2 hands to `startWorkers`, in any of its versions."""

import types

import pytest

from rios_plugin_awsbatch import AWSBatchException
from rios_plugin_awsbatch.hosts.rios2_apply import Apply

STYLE = types.SimpleNamespace(numReadWorkers=3, computeWorkerExtraParams={"read": "main"})
COMMON = {
    "numWorkers": 2,
    "userFunction": print,
    "infiles": "the input files",
    "outfiles": "the output files",
    "otherArgs": None,
    "controls": types.SimpleNamespace(concurrency=STYLE),
    "blockList": ["a block"],
    "inBlockBuffer": None,
    "outBlockBuffer": "the outputs",
    "workinggrid": "the grid",
    "allInfo": "the information",
    "singleBlockComputeWorkers": False,
    "tmpfileMgr": "temporary files",
    "haveSharedTemp": True,
    "exceptionQue": "the errors",
}


@pytest.mark.parametrize(
    "more",
    [{}, {"computeWorkersRead": True}, {"somethingNew": 1}],
    ids=["2.0.9", "2.0.0", "a later one"],
)
def test_keywords_that_are_not_needed_are_ignored(more):
    """What all versions have is taken."""
    apply = Apply.from_keywords({**COMMON, **more})
    assert (apply.workers, apply.function, apply.blocks) == (2, print, ["a block"])
    assert (apply.inputs, apply.outputs, apply.errors) == (None, "the outputs", "the errors")
    assert apply.read_threads == 3
    assert apply.extra_params == {"read": "main"}


def test_a_keyword_that_is_missing_is_named():
    """A RIOS that hands over something else is one clear error."""
    given = {name: value for name, value in COMMON.items() if name not in ("allInfo", "infiles")}
    with pytest.raises(AWSBatchException, match="without infiles, allInfo; "):
        Apply.from_keywords(given)


def test_a_rios_without_extra_parameters_has_none():
    """RIOS before 2.0.7 has no computeWorkerExtraParams, and no read workers by default."""
    controls = types.SimpleNamespace(concurrency=types.SimpleNamespace(numReadWorkers=0))
    apply = Apply.from_keywords({**COMMON, "controls": controls})
    assert apply.extra_params is None
    assert apply.read_threads == 1
