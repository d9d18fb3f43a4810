"""The contract between RIOS 1.4 and job managers, over the RIOS installed, or the double."""

import os
import re

import pytest

from tests.hosts.support import hosted

if hosted.contract() != 1:
    pytest.skip(
        "RIOS 1.4 is not installed; test_double.py runs this over a double of it",
        allow_module_level=True,
    )

import numpy as np
from rios.parallel import jobmanager

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.errors import PicklingError, WorkerTraceback
from tests.hosts.support import functions
from tests.hosts.support.contract import Contract

THREADS = 3


def controls_of(kind):
    def parallel(controls):
        controls.setNumThreads(THREADS)
        controls.setJobManagerType(kind)

    return parallel


@pytest.fixture
def host(farm, tmp_path):
    return Contract(tmp_path, controls_of("AWSBatch"))


@pytest.fixture
def spy():
    """A manager that records how the host calls it, until the end of the test."""
    calls = []

    class Spy(jobmanager.JobManager):
        jobMgrType = "spy"

        def __init__(self, numSubJobs):
            calls.append(("new", numSubJobs))
            super().__init__(numSubJobs)

        def setTempdir(self, tempdir):
            calls.append(("tempdir", tempdir))

        def runSubJobs(self, function, fnInputs):
            results = []
            for info in fnInputs:
                ready = info.prepareForPickling()
                calls.append(
                    ("block", info.info.xblock, info.info.yblock, ready.otherargs is not None)
                )
                params = ready.getFunctionParams()
                function(*params)
                results.append(ready.getFunctionResult(params))
            calls.append(("round", type(fnInputs), type(function).__name__))
            return results

        def finalise(self):
            calls.append(("end",))

    yield calls
    Spy.jobMgrType = None


def test_the_host_calls_a_manager_round_by_round(host, spy):
    """One manager for each `apply`, rounds of numThreads blocks, and `finalise` at the end."""
    _, written = host.apply(functions.add_bands_whole, parallel=controls_of("spy"))
    assert np.array_equal(written[0], hosted.image().sum(axis=0))
    assert spy[:2] == [("new", THREADS), ("tempdir", str(host.folder))]
    turns = [("round", list, "function")]
    blocks = [("block", column, row, False) for row in range(2) for column in range(4)]
    assert spy[2:] == [*blocks[:3], *turns, *blocks[3:6], *turns, *blocks[6:], *turns, ("end",)]


def test_the_host_does_not_end_a_manager_that_failed(host, spy):
    """After an error in a block, it does not call `finalise`."""
    with pytest.raises(functions.BlockError):
        host.apply(functions.fail_at, {"where": (1, 1)}, controls_of("spy"))
    assert ("end",) not in spy
    assert ("block", 1, 1, True) in spy


def test_workers_compute_what_a_serial_run_computes(host):
    """Every block is in its place."""
    _, serial = host.apply(functions.add_bands_whole, parallel=False)
    _, written = host.apply(functions.add_bands_whole)
    assert np.array_equal(written, serial)


def test_the_first_block_of_a_round_is_mains(host):
    """Main computes blocks 0, 3 and 6, workers the others."""
    _, written = host.apply(functions.say_who)
    _, main = host.apply(functions.say_who, parallel=False)
    mains = [
        (row, column)
        for row in range(2)
        for column in range(4)
        if written[0, 32 * row, 32 * column] == main[0, 0, 0]
    ]
    assert mains == [(0, 0), (0, 3), (1, 2)]


def test_otherargs_reach_every_block(host):
    """They travel apart from the blocks, which have them in common."""
    other = {"table": np.arange(50, dtype=np.float32)[::-1], "offset": 2}
    _, written = host.apply(functions.look_up, other)
    _, serial = host.apply(functions.look_up, other, parallel=False)
    assert np.array_equal(written, serial)


def test_an_error_in_a_worker_is_the_users_own(host):
    """Its cause is the worker's traceback; then the next `apply` works."""
    with pytest.raises(functions.BlockError, match=r"block \(1, 0\) is bad") as caught:
        host.apply(functions.fail_at, {"where": (1, 0)})
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in fail_at" in str(caught.value.__cause__)
    with pytest.raises(functions.BlockError, match=r"block \(0, 0\) is bad"):
        host.apply(functions.fail_at, {"where": (0, 0)})
    assert np.array_equal(host.apply(functions.add_bands_whole)[1][0], hosted.image().sum(axis=0))


def test_what_cannot_be_pickled_is_named(host):
    """The error says what it is."""
    with pytest.raises(PicklingError, match="cannot be pickled"):
        host.apply(functions.look_up, {"table": iter([1]).__iter__, "offset": (one for one in ())})


def test_ours_replaces_the_hosts_own(monkeypatch, host):
    """Also after a script has imported the host's module, and if the environment gives the type."""
    from rios.parallel.aws import batch  # noqa: PLC0415 - as scripts do

    assert batch.AWSBatchJobManager is AWSBatchJobManager
    assert jobmanager.getJobManagerClassByType("AWSBatch") is AWSBatchJobManager
    monkeypatch.setenv("RIOS_DFLT_JOBMGRTYPE", "AWSBatch")
    _, written = host.apply(
        functions.add_bands_whole, parallel=lambda controls: controls.setNumThreads(THREADS)
    )
    assert np.array_equal(written[0], hosted.image().sum(axis=0))


def test_globals_of_the_function_are_new_in_each_apply(host):
    """A worker that stays warm does not remember what an earlier `apply` has left in them."""
    for _ in range(2):
        _, written = host.apply(functions.count_seen, {"main": os.getpid()})
        assert 0 in written
    assert functions.SEEN == []


def test_numpy_treats_errors_as_in_main(host):
    """In every block, whatever is set in main when `apply` is called."""
    for divide in ("raise", "ignore"):
        with np.errstate(divide=divide):
            _, written = host.apply(functions.about_numpy)
        assert set(written.flat) == {divide == "raise"}


def test_two_applies_share_a_run(farm, host):
    """The second one uses the workers of the first."""
    for _ in range(2):
        host.apply(functions.add_bands_whole)
        assert len(farm.run_queues()) == 2


def test_blocks_know_their_files(host, tmp_path):
    """Name, number of bands, size and no-data value, also of each file of a list."""
    many = [str(tmp_path / name) for name in ("one.a", "two.b")]
    for path in many:
        hosted.write(path, hosted.image())
    _, written = host.apply(functions.about_files, many=many)
    _, serial = host.apply(functions.about_files, parallel=False, many=many)
    assert np.array_equal(written, serial)
    assert [chr(int(code)) for code in written[8:11, 0, 0]] == list("e.a")
    assert len(np.unique(written.reshape(len(written), -1), axis=1).T) == 1  # in every block


def test_what_a_worker_cannot_know_of_a_file_is_one_sentence(host):
    """It has no open dataset: the error says what can be asked, and what to do instead."""
    with pytest.raises(AttributeError) as caught:
        host.apply(functions.read_dataset)
    assert re.fullmatch(
        r"ReadAsArray of .*image cannot be had in a worker: .*\. Ask for it before.*otherargs\.",
        str(caught.value),
    )


@pytest.mark.parametrize("where", [(1, 0), (3, 1)])
def test_a_change_of_otherargs_that_is_lost_is_said_once(where, host, caplog):
    """Also if the function makes it in one block only, and a worker computes that."""
    host.apply(functions.count_some_pixels, {"where": where, "pixels": 0})
    said = [record.getMessage() for record in caplog.records if "otherargs" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("The function changes otherargs.pixels. With RIOS 1.4, only")


def test_otherargs_that_are_only_read_are_not_talked_of(host, caplog):
    """Nor is a job without any."""
    host.apply(functions.look_up, {"table": np.arange(50, dtype=np.float32), "offset": 2})
    host.apply(functions.count_some_pixels, {"where": (9, 9), "pixels": 0})
    host.apply(functions.add_bands_whole)
    assert "otherargs" not in caplog.text
