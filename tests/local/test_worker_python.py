"""Jobs in the environment of another interpreter, as in an image."""

import pytest

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import LocalAWS
from tests.local.support import Account

WORKER = """#!/bin/sh
echo "the other worker: ${PYTHONPATH-no PYTHONPATH}"
"""


@pytest.fixture
def interpreter(tmp_path):
    """The interpreter of an environment that has a worker of its own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "rios-awsbatch-worker"):
        (programs / name).write_text(WORKER)
        (programs / name).chmod(0o755)
    return programs / "python"


def test_jobs_run_the_programs_of_the_environment(interpreter, monkeypatch):
    """The worker is the one beside that interpreter, and main's modules are not on its path."""
    monkeypatch.setenv("PYTHONPATH", "/main/s/own")
    with LocalAWS(workers=1, worker_python=str(interpreter)) as aws:
        account = Account(aws)
        job = account.ended(account.submit())
        assert account.output(job) == ["the other worker: no PYTHONPATH"]


def test_an_environment_without_this_package_is_refused(interpreter):
    """The error names the interpreter, and says what to install there; nothing is started."""
    interpreter.with_name("rios-awsbatch-worker").unlink()
    with pytest.raises(
        AWSBatchException, match=rf"{interpreter}, which has no rios-awsbatch-worker"
    ):
        LocalAWS(worker_python=str(interpreter))


def test_an_interpreter_may_be_named_relative_to_the_folder(interpreter, monkeypatch):
    """What is relative is so to main's folder, not to those of jobs."""
    monkeypatch.chdir(interpreter.parent)
    with LocalAWS(workers=1, worker_python="python") as aws:
        account = Account(aws)
        assert account.output(account.ended(account.submit()))[0].startswith("the other worker")
