"""Where there are no workers to be had: without AWS, and inside a worker."""

import subprocess
import sys
import textwrap

import cloudpickle
import pytest

from rios_plugin_awsbatch import AWSBatchJobManager, BatchExecutor
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.nesting import RUN
from rios_plugin_awsbatch.settings import WorkerSettings, variables
from tests.hosts.support import hosted
from tests.hosts.support.jobs import blocks, double
from tests.hosts.support.scripting import run_script
from tests.support.helpers import PATIENCE, without_aws

cloudpickle.register_pickle_by_value(sys.modules[__name__])
GENERATION = hosted.generation()
EXAMPLE = """
from rios_plugin_awsbatch import BatchExecutor

if __name__ == "__main__":
    with BatchExecutor(max_workers=2) as executor:
        print(list(executor.map(abs, range(3))))
"""
MANAGER = """
from rios_plugin_awsbatch import AWSBatchJobManager

if __name__ == "__main__":
    AWSBatchJobManager(3).startOneJob(abs, object.__new__(type("Info", (), {
        "info": None, "prepareForPickling": lambda self: self
    })))
"""


def within_executor():
    with BatchExecutor(1) as executor:
        return executor.submit(abs, -1).result(PATIENCE)


def within_manager():
    manager = AWSBatchJobManager(2)
    try:
        return manager.runSubJobs(double, blocks(2))
    finally:
        manager.finalise()


def within_process():
    code = "from rios_plugin_awsbatch import BatchExecutor as e; e(1).submit(abs, -1)"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def assert_three_lines(ended, command):
    """The last three lines of a script's traceback say what to do, without frames of botocore."""
    assert ended.returncode == 1
    assert "botocore" not in ended.stderr
    assert "The above exception was" not in ended.stderr
    what, create, local = ended.stderr.rstrip().splitlines()[-3:]
    assert what.endswith("there are no AWS credentials; run `aws configure`, or set AWS_PROFILE.")
    assert create.endswith("rios-awsbatch stack create --wait")
    assert local.endswith(f"without AWS: rios-awsbatch local -- python {command}")


@pytest.mark.parametrize("script", [EXAMPLE, MANAGER], ids=["BatchExecutor", "job manager"])
def test_without_aws_a_script_says_what_to_do_in_three_lines(tmp_path, script):
    """The last line can be copied; it runs the script with its arguments."""
    (tmp_path / "example.py").write_text(script)
    ended = subprocess.run(
        [sys.executable, "example.py", "--date", "1 May"],
        cwd=tmp_path,
        env={**without_aws(), "AWS_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert_three_lines(ended, "example.py --date '1 May'")


@pytest.mark.skipif(GENERATION == 0, reason="no RIOS is installed (tox -e rios1, rios2 do it)")
def test_without_aws_rios_says_so_too(files, tmp_path):
    """RIOS passes the error on."""
    workers = {1: (3, "AWSBatch"), 2: (2,)}[GENERATION]
    image = str(files / "bands.tif")
    ended = run_script(
        f"ndvi{GENERATION}.py", image, tmp_path / "out", *workers, environ=without_aws()
    )
    assert ended.returncode != 0
    assert "botocore" not in ended.stderr
    assert "rios-awsbatch local -- python " in ended.stderr


def test_the_embedded_aws_is_not_advised_to_those_who_use_it(owner, monkeypatch):
    """There, a stack that is missing is another mistake."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    with pytest.raises(Exception, match="There is no stack Nowhere") as caught:
        within_executor()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", [within_executor, within_manager])
def test_workers_start_no_workers(cloud, function):
    """A task that asks for workers of its own fails at once with a sentence that says so."""
    with BatchExecutor(1) as executor:
        with pytest.raises(WorkersError, match=r"^Workers start no workers, .* run \w{15}-\w+:"):
            executor.submit(function).result(PATIENCE)
        assert executor.submit(abs, -2).result(PATIENCE) == 2


def test_nor_do_programs_that_a_task_starts(cloud):
    """They have the worker's environment."""
    with BatchExecutor(1) as executor:
        assert "Workers start no workers" in executor.submit(within_process).result(PATIENCE)


RIOS_NESTED = {
    1: "controls.setNumThreads(2); controls.setJobManagerType('AWSBatch')",
    2: "controls.setConcurrencyStyle(applier.ConcurrencyStyle("
    "computeWorkerKind=applier.CW_AWSBATCH, numComputeWorkers=2))",
}


@pytest.mark.skipif(GENERATION == 0, reason="no RIOS is installed (tox -e rios1, rios2 do it)")
def test_apply_within_a_task_starts_no_workers_either(cloud, files, tmp_path):
    """Neither with our managers nor with RIOS's own for AWS Batch, which start Batch jobs."""
    image, output = str(files / "bands.tif"), str(tmp_path / "out.tif")
    made = {}
    code = f"""
        from rios import applier
        def apply_there():
            inputs, outputs = applier.FilenameAssociations(), applier.FilenameAssociations()
            inputs.img, outputs.out = {image!r}, {output!r}
            controls = applier.ApplierControls()
            {RIOS_NESTED[GENERATION]}
            applier.apply(lambda *given: None, inputs, outputs, controls=controls)
    """
    exec(textwrap.dedent(code), made)  # a function that is sent by value
    with (
        BatchExecutor(1) as executor,
        pytest.raises(Exception, match=r"Workers start no workers, .* run \w{15}-\w+:"),
    ):
        executor.submit(made["apply_there"]).result(PATIENCE)


def test_a_worker_knows_itself_by_the_run_in_its_environment():
    """The name is that of the worker's own setting."""
    assert variables(WorkerSettings)["run"] == (RUN,)
