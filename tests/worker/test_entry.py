"""The console script rios-awsbatch-worker: what it says before it works."""

import signal
import subprocess

import pytest

from rios_plugin_awsbatch._version import __version__
from tests.support.helpers import without_aws
from tests.worker.support import WORKER


def ran(environment, *arguments):
    """Run the worker to its end."""
    return subprocess.run(
        [WORKER, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_and_version_need_nothing():
    """--help and --version work without settings, credentials and network, and exit 0."""
    version = ran(without_aws(), "--version")
    assert (version.returncode, version.stdout) == (0, f"rios-awsbatch-worker {__version__}\n")
    shown = ran(without_aws(), "--help")
    assert shown.returncode == 0
    assert "RIOS_AWSBATCH_" in shown.stdout


def one_sentence(ended):
    """Assert that the worker failed with one sentence on standard error; return that."""
    assert ended.returncode not in {0, -signal.SIGTERM}
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("rios-awsbatch-worker: ")
    return lines[0]


@pytest.mark.parametrize("name", ["RUN", "RUN_KEY", "BUCKET", "IN_QUEUE", "OUT_QUEUE"])
def test_a_missing_setting_is_named(run, name):
    """Without one of its settings the worker exits non-zero and names the variable."""
    variable = f"RIOS_AWSBATCH_{name}"
    del run.environment[variable]
    assert f"{variable} is not set" in one_sentence(ran(run.environment))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RIOS_AWSBATCH_RUN_KEY", "not hexadecimal"),
        ("RIOS_AWSBATCH_RUN_KEY", "0" * 63),
        ("RIOS_AWSBATCH_RUN", "../other"),
        ("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "soon"),
        ("RIOS_AWSBATCH_LOG_LEVEL", "CHATTY"),
    ],
)
def test_a_bad_setting_is_named(run, variable, value):
    """With a bad setting the worker exits non-zero and names it, without showing a key."""
    sentence = one_sentence(ran(run.environment | {variable: value}))
    assert variable in sentence
    assert value not in sentence or "KEY" not in variable


@pytest.mark.parametrize("name", ["IN_QUEUE", "OUT_QUEUE"])
def test_a_queue_that_does_not_exist_is_named(run, name):
    """Without one of its queues the worker exits non-zero with a sentence that names it."""
    variable = f"RIOS_AWSBATCH_{name}"
    missing = run.environment[variable] + "-gone"
    ended = ran(run.environment | {variable: missing})
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert missing in ended.stderr.splitlines()[-1]
    assert variable in ended.stderr.splitlines()[-1]
    assert "does not exist" in ended.stderr.splitlines()[-1]


def test_no_credentials_is_said(run):
    """Without credentials the worker exits non-zero and says so."""
    kept = {name: value for name, value in run.environment.items() if not name.startswith("AWS_")}
    environment = kept | without_aws({}) | {"AWS_ENDPOINT_URL": run.environment["AWS_ENDPOINT_URL"]}
    assert "credentials" in one_sentence(ran(environment))
