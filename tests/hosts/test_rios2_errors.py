"""Errors within RIOS 2 come at once, as RIOS reports them, and a script can go on afterwards."""

import signal
import threading

import pytest

from tests.hosts.support import hosted

if hosted.generation() != 2:
    reason = (
        "RIOS 2 is not installed (tox -e rios2, riosdev do it); test_double.py runs a double of it"
    )
    pytest.skip(reason, allow_module_level=True)

from rios.rioserrors import WorkerExceptionError

from rios_plugin_awsbatch.errors import PicklingError, SettingsError
from tests.hosts.support import functions
from tests.hosts.support.hosted import on_batch
from tests.hosts.support.runs import live_run
from tests.hosts.support.scenarios import JOBS, Job, outputs, run
from tests.hosts.support.scene import differences
from tests.support.helpers import GIVEN

IMAGE = {"img": "bands.tif"}
FAILING = Job(functions.fail_at, IMAGE, other={"where": (2, 1)})
RIOS_READS = {"computeWorkersRead": False, "numReadWorkers": 2}


@pytest.fixture
def local(files):
    return lambda name: str(files / name)


@pytest.fixture
def truncated(files, tmp_path, farm):
    """An image without its last blocks, on this machine and in the bucket."""
    path = tmp_path / "truncated.tif"
    data = (files / "bands.tif").read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    key = f"{GIVEN}{tmp_path.name}/truncated.tif"  # a folder that GDAL has not listed yet
    farm.s3.upload_file(str(path), farm.bucket, key)
    yield {"local": str(path), "remote": f"/vsis3/{farm.bucket}/{key}"}
    farm.s3.delete_object(Bucket=farm.bucket, Key=key)


def assert_goes_on(local, serial, folder):
    run(JOBS["lists"], folder, local, on_batch())
    assert differences(outputs(JOBS["lists"], folder), serial(JOBS["lists"])) == []


@pytest.mark.parametrize("style", [{}, RIOS_READS], ids=["ours", "RIOS reads"])
def test_the_users_error_is_reported_once(style, farm, local, serial, tmp_path, capsys):
    """WorkerExceptionError, after the worker's traceback on standard error."""
    with pytest.raises(WorkerExceptionError) as caught:
        run(FAILING, tmp_path, local, on_batch(**style))
    assert isinstance(caught.value.__cause__, functions.BlockError)
    said = capsys.readouterr().err
    assert said.count("Error in compute worker") == 1
    assert said.count("in fail_at") == 1
    assert "BlockError: block (2, 1) is bad" in said
    assert_goes_on(local, serial, tmp_path)


def test_the_scripts_sigterm_handler_is_restored(farm, local, tmp_path, capsys):
    """RIOS restores it only if `apply` succeeds."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        own = signal.getsignal(signal.SIGTERM)
        with pytest.raises(WorkerExceptionError):
            run(FAILING, tmp_path, local, on_batch())
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "in fail_at" in capsys.readouterr().err


def test_readers_of_rios_end_with_the_first_error(farm, local, serial, tmp_path, capsys):
    """They may have read more blocks than there is room for, which nobody wants any more."""
    style = {"computeWorkersRead": False, "numReadWorkers": 1, "numComputeWorkers": 1}
    with pytest.raises(WorkerExceptionError):
        run(
            Job(functions.fail_at, IMAGE, other={"where": (0, 0)}),
            tmp_path,
            local,
            on_batch(**style),
        )
    assert capsys.readouterr().err.count("Error in") == 1
    assert_goes_on(local, serial, tmp_path)


def test_after_an_error_nothing_is_computed_any_more(farm, local, tmp_path, capsys):
    """Waiting tasks are cancelled: when `apply` has raised, no result is pending."""
    with pytest.raises(WorkerExceptionError):
        run(Job(functions.fail_at, IMAGE, other={"where": (0, 0)}), tmp_path, local, on_batch())
    assert len(live_run()._pending) == 0
    assert "in fail_at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "style"),
    [("local", {}), ("remote", {}), ("local", RIOS_READS)],
    ids=["main reads", "workers read", "RIOS reads"],
)
def test_a_reader_that_fails_is_reported(
    place, style, truncated, farm, local, serial, tmp_path, capsys
):
    """If the last blocks of an input cannot be read, the error has GDAL's words, whoever reads."""
    with pytest.raises(WorkerExceptionError):
        run(JOBS["plain"], tmp_path, lambda _: truncated[place], on_batch(**style))
    said = capsys.readouterr().err
    assert said.count("Error in") == 1
    assert "truncated.tif" in said
    assert_goes_on(local, serial, tmp_path)


def test_an_output_that_cannot_be_created_is_reported(farm, local, serial, tmp_path, capsys):
    """If a folder has the output's name, the job ends with the writer's error at once."""

    (tmp_path / "out-0").mkdir()
    with pytest.raises(WorkerExceptionError) as caught:
        run(JOBS["plain"], tmp_path, local, on_batch())
    assert "out-0" in str(caught.value.__cause__)
    said = capsys.readouterr().err
    assert said.count("Error in main worker") == 1
    assert_goes_on(local, serial, tmp_path)


@pytest.mark.parametrize("what", ["otherargs", "function"])
def test_what_cannot_be_pickled_is_named(what, farm, local, serial, tmp_path):
    """The error says what it is, before any block is computed."""
    lock = threading.Lock()

    def locked(info, inputs, outputs):
        with lock:
            outputs.out = inputs.img

    job = {
        "otherargs": Job(functions.look_up, IMAGE, other={"table": lock}),
        "function": Job(locked, IMAGE),
    }[what]
    with pytest.raises(PicklingError, match=r"cannot be pickled.*lock"):
        run(job, tmp_path, local, on_batch())
    assert_goes_on(local, serial, tmp_path)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"stak": "RIOS"}, r"'stak'.*Known keys: read, .*stack"),
        ({"read": "nobody"}, "'read'.*'auto', 'main' or 'workers'"),
        ({"blocks_per_task": 0}, "'blocks_per_task'.*greater than or equal to 1"),
        ({"memory": "much"}, "'memory'.*integer"),
        ({"max_attempts": 0}, "RIOS_AWSBATCH_MAX_ATTEMPTS=0 cannot be used"),
        (["stack"], r"computeWorkerExtraParams is \['stack'\]"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(params, sentence, farm, local, tmp_path):
    """The error says what is wrong in computeWorkerExtraParams, and which keys exist."""
    with pytest.raises(SettingsError, match=sentence):
        run(JOBS["plain"], tmp_path, local, on_batch(computeWorkerExtraParams=params))


def test_a_stack_that_is_not_there_is_named(farm, local, tmp_path):
    """The parameters choose the stack; RIOS raises our error."""
    from rios_plugin_awsbatch.errors import StackError  # noqa: PLC0415 - for this one

    with pytest.raises(StackError, match="nowhere"):
        run(JOBS["plain"], tmp_path, local, on_batch(computeWorkerExtraParams={"stack": "nowhere"}))


def test_params_reach_the_job(farm, local, tmp_path):
    """vcpus and memory are those of the Batch job."""
    run(
        JOBS["plain"],
        tmp_path,
        local,
        on_batch(computeWorkerExtraParams={"vcpus": 1, "memory": 777}),
    )
    jobs = farm.batch.describe_jobs(jobs=farm.unfinished_jobs())["jobs"]
    required = [
        {r["type"]: r["value"] for r in job["container"].get("resourceRequirements", [])}
        for job in jobs
    ]
    assert "777" in [one.get("MEMORY") for one in required]
