"""Users' unmodified scripts, each in its own process, on whichever RIOS is installed."""

import signal
import sys
from pathlib import Path

import pytest

from tests.hosts.support import hosted
from tests.support.helpers import eventually, without_aws

GENERATION = hosted.generation()
if not GENERATION:
    pytest.skip(
        "no RIOS is installed (tox -e rios1, rios2, riosdev do it)", allow_module_level=True
    )

from tests.hosts.support.scene import describe, differences
from tests.hosts.support.scripting import run_script, start_lingering

SCRIPT = f"ndvi{GENERATION}.py"
WORKERS = {1: (3, "AWSBatch"), 2: (2,)}[GENERATION]
OLD_CALLS = GENERATION == 1 or hosted.has_old_calls()
RIOS_AWSBATCH = str(Path(sys.executable).with_name("rios-awsbatch"))


@pytest.fixture
def image(files):
    return str(files / "bands.tif")


def assert_same_as_serial(ended, image, folder):
    serial = run_script(SCRIPT, image, folder / "serial")
    assert (serial.returncode, ended.returncode) == (0, 0), ended.stderr
    assert differences(describe(folder / "aws"), describe(folder / "serial")) == []


def test_a_script_is_run_unmodified(cloud, image, tmp_path):
    """It asks for AWS Batch by RIOS's own means, imports nothing of ours, and sees no warning."""
    ended = run_script(SCRIPT, image, tmp_path / "aws", *WORKERS, PYTHONWARNINGS="default")
    assert_same_as_serial(ended, image, tmp_path)
    assert "AWSBATCH" not in ended.stderr
    assert "awsbatch" not in ended.stderr


@pytest.mark.skipif(not OLD_CALLS, reason="this RIOS has no setNumThreads any more")
@pytest.mark.parametrize("how", [("AWSBatch",), ()], ids=["call", "environment"])
def test_a_script_of_rios_1_is_run_unmodified(how, cloud, image, tmp_path):
    """setNumThreads with setJobManagerType, or with RIOS_DFLT_JOBMGRTYPE in the environment."""
    default = {} if how else {"RIOS_DFLT_JOBMGRTYPE": "AWSBatch"}
    ended = run_script("ndvi1.py", image, tmp_path / "aws", 3, *how, **default)
    assert_same_as_serial(ended, image, tmp_path)


def test_the_command_runs_a_script_on_the_embedded_aws(image, tmp_path):
    """`rios-awsbatch local -- python script.py` needs no account."""
    prefix = [RIOS_AWSBATCH, "local", "--workers", "2", "--"]
    ended = run_script(
        SCRIPT, image, tmp_path / "aws", *WORKERS, prefix=prefix, environ=without_aws()
    )
    assert_same_as_serial(ended, image, tmp_path)


def test_an_output_that_cannot_be_created_ends_the_script(cloud, image, tmp_path):
    """The script fails with RIOS's own error, and its run ends too."""
    ended = run_script(SCRIPT, image, tmp_path / "missing" / "out", *WORKERS)
    assert ended.returncode == 1
    assert "missing" in ended.stderr
    eventually(lambda: not cloud.left(), lambda: f"the script has left {cloud.left()}")


def test_a_full_disk_ends_the_script(cloud, image, tmp_path):
    """If only some KiB can be written, the script fails as in a serial run, and does not hang."""
    full = ["bash", "-c", 'ulimit -f 8; exec "$@"', "full"]
    unwritten = {"PYTHONDONTWRITEBYTECODE": "1"}  # half a .pyc would be read by everybody
    serial = run_script(SCRIPT, image, tmp_path / "serial", prefix=full, **unwritten)
    ended = run_script(SCRIPT, image, tmp_path / "aws", *WORKERS, prefix=full, **unwritten)
    assert ended.returncode == serial.returncode, ended.stderr
    assert "write" in ended.stderr.lower()
    eventually(lambda: not cloud.left(), lambda: f"the script has left {cloud.left()}")


def test_a_script_that_is_told_to_end_leaves_nothing(cloud, image, tmp_path):
    """SIGTERM after an `apply`, while the workers are still warm."""
    process = start_lingering(SCRIPT, image, tmp_path / "out", *WORKERS)
    assert cloud.run_queues()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    process.stdin.close()
    process.stdout.close()
    eventually(lambda: not cloud.left(), lambda: f"the script has left {cloud.left()}")
