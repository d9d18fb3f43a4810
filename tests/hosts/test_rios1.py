"""The job manager within RIOS 1.4: what scripts can ask for, compared with a serial run."""

import threading

import numpy as np
import pytest

from tests.hosts.support import hosted

REASON = "RIOS 1.4 is not installed (tox -e rios1 does it); test_double.py runs a double of it"
if hosted.generation() != 1:
    pytest.skip(REASON, allow_module_level=True)

from rios.parallel import jobmanager

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.errors import PicklingError, WorkerTraceback
from tests.hosts.support import functions
from tests.hosts.support.scenarios import JOBS, Job, outputs, run
from tests.hosts.support.scene import differences

FAILING = {
    where: Job(functions.fail_at, {"img": "bands.tif"}, other={"where": where})
    for where in [(0, 0), (1, 0)]
}


def on_batch(controls):
    controls.setNumThreads(3)
    controls.setJobManagerType("AWSBatch")


@pytest.fixture
def local(files):
    return lambda name: str(files / name)


@pytest.mark.parametrize("name", JOBS)
def test_workers_write_what_a_serial_run_writes(name, farm, local, serial, tmp_path):
    """Pixels, projection, no-data values, statistics, overviews and colours are the same."""
    run(JOBS[name], tmp_path, local, on_batch)
    assert differences(outputs(JOBS[name], tmp_path), serial(JOBS[name])) == []


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) >= "2.0.0", reason="RIOS 1.4 needs numpy.cast for this"
)
def test_a_worker_knows_names_and_no_data_values_of_inputs(farm, local, serial, tmp_path):
    """What RIOS's own job managers cannot: their workers raise KeyError."""
    job = Job(functions.about_inputs, {"img": "bands.tif", "second": "other.tif"})
    run(job, tmp_path, local, on_batch)
    assert differences(outputs(job, tmp_path), serial(job)) == []


def test_two_applies_share_a_run(farm, local, tmp_path):
    """The second one uses the workers of the first: there are two queues, not four."""
    for _ in range(2):
        run(JOBS["plain"], tmp_path, local, on_batch)
        assert len(farm.run_queues()) == 2


def test_an_error_in_a_workers_block_is_the_users_own(farm, local, tmp_path):
    """The second block of a round fails in a worker: main raises the same exception."""
    with pytest.raises(functions.BlockError, match=r"block \(1, 0\) is bad") as caught:
        run(FAILING[1, 0], tmp_path, local, on_batch)
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in fail_at" in str(caught.value.__cause__)


def test_an_error_in_mains_block_is_raised_as_it_is(farm, local, tmp_path):
    """The first block of a round fails in main: there is no worker's traceback to add."""
    with pytest.raises(functions.BlockError, match=r"block \(0, 0\) is bad") as caught:
        run(FAILING[0, 0], tmp_path, local, on_batch)
    assert caught.value.__cause__ is None


def test_after_an_error_the_next_apply_works(farm, local, serial, tmp_path):
    """A script that catches an error can go on with the same workers."""
    for failing in FAILING.values():
        with pytest.raises(functions.BlockError):
            run(failing, tmp_path, local, on_batch)
    run(JOBS["lists"], tmp_path, local, on_batch)
    assert differences(outputs(JOBS["lists"], tmp_path), serial(JOBS["lists"])) == []


def test_otherargs_that_cannot_be_pickled_are_named(farm, local, tmp_path):
    """The error says what cannot be pickled."""
    job = Job(functions.look_up, {"img": "bands.tif"}, other={"table": threading.Lock()})
    with pytest.raises(PicklingError, match="cannot be pickled"):
        run(job, tmp_path, local, on_batch)


def test_progress_is_shown_as_ever(farm, local, tmp_path):
    """Main calls the script's progress object, which cannot be pickled."""
    heard = []

    class Progress:
        lock = threading.Lock()

        def setTotalSteps(self, steps):
            heard.append(steps)

        def setProgress(self, percent):
            heard.append(percent)

        def setLabelText(self, text):
            pass

        def reset(self):
            pass

        wasCancelled = reset

    def configure(controls, applier, place):
        controls.setProgress(Progress())

    run(
        Job(functions.add_bands, {"img": "bands.tif"}, configure=configure),
        tmp_path,
        local,
        on_batch,
    )
    assert 100 in heard[1:]
    assert len(set(heard)) > 3


def test_ours_replaces_the_one_of_rios():
    """The type AWSBatch is ours, whether or not a script imports RIOS's own module."""
    assert jobmanager.getJobManagerClassByType("AWSBatch") is AWSBatchJobManager
    from rios.parallel.aws import batch  # noqa: PLC0415 - as scripts do

    assert batch.AWSBatchJobManager is AWSBatchJobManager
    assert jobmanager.getJobManagerClassByType("AWSBatch") is AWSBatchJobManager
    assert AWSBatchJobManager in jobmanager.JobManager.__subclasses__()
