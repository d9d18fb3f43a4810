"""The compute workers within RIOS 2: what scripts can ask for, compared with a serial run."""

import pytest

from tests.hosts.support import hosted

if hosted.generation() != 2:
    reason = (
        "RIOS 2 is not installed (tox -e rios2, riosdev do it); test_double.py runs a double of it"
    )
    pytest.skip(reason, allow_module_level=True)

from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run import leases as live
from tests.hosts.support import functions
from tests.hosts.support.hosted import on_batch
from tests.hosts.support.listening import listening_ports
from tests.hosts.support.runs import live_run
from tests.hosts.support.scenarios import JOBS, Job, outputs, run
from tests.hosts.support.scene import differences
from tests.support.helpers import UNKIND, eventually

IMAGE = {"img": "bands.tif"}
BLOCKS = 12
READERS = ["main", "workers", "mixed", "rios"]
ABOUT_INPUTS = Job(functions.about_inputs, {"img": "bands.tif", "second": "other.tif"})
PLAIN = JOBS["plain"]


def on_batch_with(**params):
    return on_batch(computeWorkerExtraParams=params)


@pytest.fixture
def local(files):
    return lambda name: str(files / name)


@pytest.fixture
def remote(uploaded):
    return lambda name: f"{uploaded}/{name}"


@pytest.fixture
def mixed(local, remote):
    """Some of the files are ones that workers can open."""
    return lambda name: (
        remote if name in ("other.tif", "shifted.tif", "coarse.tif", "fields.shp") else local
    )(name)


def counted(**more):
    return Job(functions.count_pixels, IMAGE, other={"pixels": 0, "blocks": [], **more})


def sent_by(action):
    """Return how many bytes main sends to workers during an action."""
    run = live_run()
    before = run.statistics().bytes_sent
    action()
    return run.statistics().bytes_sent - before


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", [*JOBS, "inputs"])
def test_workers_write_what_a_serial_run_writes(
    name, reader, farm, local, remote, mixed, serial, tmp_path
):
    """Pixels, projection, no-data values, statistics, overviews and colours, whoever reads."""
    job = JOBS.get(name, ABOUT_INPUTS)
    place = {"workers": remote, "mixed": mixed}.get(reader, local)
    style = {"computeWorkersRead": False, "numReadWorkers": 2} if reader == "rios" else {}
    run(job, tmp_path, place, on_batch(**style))
    assert differences(outputs(job, tmp_path), serial(job)) == []


def test_inputs_travel_only_if_workers_cannot_open_them(farm, local, remote, tmp_path):
    """With `auto`, workers read what is on /vsis3/; `main` and `workers` read everything."""
    size = 3 * 110 * 90 * 2
    run(PLAIN, tmp_path, local, on_batch())
    sent = {
        (read, place): sent_by(
            lambda place=place, read=read: run(PLAIN, tmp_path, place, on_batch_with(read=read))
        )
        for read in ("auto", "main", "workers")
        for place in (local, remote)
    }
    shipped = {which for which, count in sent.items() if count > size}
    assert shipped == {("auto", local), ("main", local), ("main", remote)}


def test_sums_in_otherargs_are_exact(farm, local, tmp_path):
    """Each task has its own copy; together they have each pixel and each block once."""
    returned, other = run(counted(), tmp_path, local, on_batch())
    assert sum(one.pixels for one in returned.otherArgsList) == 110 * 90
    assert len({block for one in returned.otherArgsList for block in one.blocks}) == BLOCKS
    assert sum(len(one.blocks) for one in returned.otherArgsList) == BLOCKS
    assert other.pixels == 0


def test_sums_are_exact_when_a_task_runs_twice(farm, local, tmp_path):
    """If a process is killed after it has counted a block, its count is lost with it."""
    job = Job(
        functions.count_and_be_killed_once,
        IMAGE,
        other={"pixels": 0, "blocks": [], "folder": str(tmp_path)},
    )
    returned, _ = run(job, tmp_path, local, on_batch_with(blocks_per_task=2))
    assert (tmp_path / "killed").exists()
    assert sum(one.pixels for one in returned.otherArgsList) == 110 * 90
    assert sum(len(one.blocks) for one in returned.otherArgsList) == BLOCKS


def test_what_a_function_loads_is_loaded_once_in_a_worker(farm, local, tmp_path):
    """Sums beside it are exact, also when a process is killed and another one loads it again."""
    given = {"model": None, "loads": [], "pixels": 0, "blocks": [], "folder": str(tmp_path)}
    job = Job(functions.load_and_be_killed_once, IMAGE, other=given)
    returned, _ = run(job, tmp_path, local, on_batch_with(blocks_per_task=1))
    entries = returned.otherArgsList
    assert (tmp_path / "killed").exists()
    assert sum(one.pixels for one in entries) == 110 * 90
    assert sum(len(one.blocks) for one in entries) == BLOCKS
    loads = [process for one in entries for process in one.loads]
    second_attempt = 1
    assert len(set(loads)) <= len(loads) <= len(set(loads)) + second_attempt < BLOCKS / 2
    assert sum(one.model is not None for one in entries) == len(loads)


@pytest.mark.parametrize("reader", READERS[:2])
def test_timings_of_the_workers_are_merged(reader, farm, local, remote, tmp_path):
    """The report has an interval for each block read, computed and inserted, wherever."""
    place = {"main": local, "workers": remote}[reader]
    returned, _ = run(counted(), tmp_path, place, on_batch())
    for name in ("reading", "userfunction", "insert_computebuffer", "pop_computebuffer"):
        assert len(returned.timings.getDurationsForName(name)) == BLOCKS, name
    assert "userfunction" in returned.timings.formatReport()
    if hasattr(returned, "workinggrid"):  # since RIOS 2.0.5
        assert returned.workinggrid.getDimensions() == (90, 110)


def test_progress_is_shown_as_in_a_serial_run(farm, local, tmp_path):
    """Main calls the script's progress object, which cannot be pickled, with the same values."""
    heard = {}
    for how, parallel in {"serial": None, "aws": on_batch()}.items():
        progress = _Progress(heard.setdefault(how, []))
        run(_with_progress(progress), tmp_path, local, parallel)
    assert heard["aws"] == heard["serial"]
    assert heard["aws"][-1] == 100


def test_a_call_before_closing_stays_in_main(farm, local, serial, tmp_path):
    """Main calls what setCallBeforeClose was given once; it need not be picklable."""
    from rios.applier import ApplierControls  # noqa: PLC0415 - of RIOS 2.0.7 or later

    if not hasattr(ApplierControls, "setCallBeforeClose"):
        pytest.skip("this RIOS has no setCallBeforeClose")
    called = []
    unpicklable = iter([1])

    def configure(controls, applier, place):
        controls.setCallBeforeClose(
            lambda dataset, one: called.append(next(one)), args=[unpicklable], imagename="out"
        )

    run(Job(functions.add_bands, IMAGE, configure=configure), tmp_path, local, on_batch())
    assert called == [1]


def test_no_port_is_opened(farm, local, tmp_path):
    """Main does not listen while workers work."""
    ports = []
    run(_with_progress(_Progress(ports, listening_ports)), tmp_path, local, on_batch())
    assert ports
    assert set(ports) == {frozenset()}


def test_two_applies_share_a_run(farm, local, tmp_path):
    """The second one uses the workers of the first: there are two queues, not four."""
    for _ in range(2):
        run(PLAIN, tmp_path, local, on_batch())
        assert len(farm.run_queues()) == 2


@pytest.mark.filterwarnings("error")
def test_nobody_calls_it_deprecated(farm, local, tmp_path, capfd):
    """RIOS's own manager of that name prints a warning; ours does not."""
    run(PLAIN, tmp_path, local, on_batch())
    assert "WARNING" not in capfd.readouterr().err


@pytest.mark.skipif(not hosted.has_old_calls(), reason="this RIOS has no setNumThreads any more")
def test_the_old_pair_of_calls_is_translated(farm, local, serial, tmp_path, capsys):
    """setNumThreads and setJobManagerType start our workers; only RIOS may call them deprecated."""

    def old_pair(controls):
        controls.setNumThreads(2)
        controls.setJobManagerType("AWSBatch")

    run(PLAIN, tmp_path, local, old_pair)
    assert "CW_AWSBATCH" not in capsys.readouterr().err
    assert differences(outputs(PLAIN, tmp_path), serial(PLAIN)) == []


def test_blocks_begin_with_the_first_worker(local, serial, tmp_path):
    """If Batch has room for one of three workers, output is written while the others wait."""
    statuses = []
    with LocalAWS(workers=1, unkind=UNKIND) as aws, aws.activated():
        from tests.support.helpers import Cloud  # noqa: PLC0415 - after the embedded AWS

        cloud = Cloud(aws)

        def waiting(percent):
            listed = [
                cloud.batch.list_jobs(arrayJobId=job, jobStatus="RUNNABLE")
                for job in cloud.unfinished_jobs()
            ]
            return sum(len(answer["jobSummaryList"]) for answer in listed) if percent > 50 else None

        try:
            run(
                _with_progress(_Progress(statuses, waiting)),
                tmp_path,
                local,
                on_batch(numComputeWorkers=3),
            )
        finally:
            live.close_all()
            eventually(lambda: not cloud.left())
    assert 2 in statuses
    assert differences(outputs(PLAIN, tmp_path), serial(PLAIN)) == []


class _Progress:
    """A progress object which cannot be pickled."""

    def __init__(self, heard, what=lambda percent: percent):
        self._heard, self._what, self._frames = heard, what, iter([])

    def setProgress(self, percent):
        self._heard.append(self._what(percent))

    def setTotalSteps(self, steps):
        pass

    def setLabelText(self, text):
        pass

    def wasCancelled(self):
        return False

    def reset(self):
        pass


def _with_progress(progress):
    def configure(controls, applier, place):
        controls.setProgress(progress)

    return Job(functions.add_bands, IMAGE, configure=configure)
