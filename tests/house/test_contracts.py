"""The contracts of import-linter in pyproject hold, and fail where they must."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path):
    """A copy of the package and its contracts, to break."""
    folder = tmp_path / "rios_plugin_awsbatch"
    shutil.copytree(ROOT / "rios_plugin_awsbatch", folder, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return folder


def linted(folder):
    """Return the exit code and the output of import-linter."""
    ended = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_the_contracts_hold():
    """Every module imports downwards only, and the worker nothing of main's side."""
    code, said = linted(ROOT)
    assert code == 0, said
    assert "0 broken" in said


def test_a_module_in_no_layer_breaks_them(copy):
    """A new module at the top of the package must be given a place."""
    copy.joinpath("stray.py").write_text('"""Belongs nowhere."""\n')
    code, said = linted(copy.parent)
    assert code != 0
    assert "rios_plugin_awsbatch.stray" in said


@pytest.mark.parametrize(
    ("module", "line", "words"),
    [
        ("worker/worker.py", "from rios_plugin_awsbatch.run import failures", "run.failures"),
        ("worker/compute.py", "import boto3", "boto3"),
        ("wire/payload.py", "import rios_plugin_awsbatch.settings", "settings"),
        ("local/batch.py", "from rios_plugin_awsbatch.aws import names", "aws.names"),
        ("hosts/executor.py", "import rios_plugin_awsbatch.local", "local"),
    ],
)
def test_an_import_upwards_breaks_them(copy, module, line, words):
    """However it is written, an import that goes up is found and named."""
    path = copy / module
    path.write_text(f"{path.read_text()}\n{line}\n")
    code, said = linted(copy.parent)
    assert code != 0
    assert words in said


def test_every_half_in_the_worker_is_in_the_contracts():
    """A new host's half in the worker is named where worker.compute is: it runs beside it."""
    halves = {path.stem for path in (ROOT / "rios_plugin_awsbatch/hosts").glob("*_remote.py")}
    text = (ROOT / "pyproject.toml").read_text()
    for half in halves:
        assert text.count(f'"rios_plugin_awsbatch.hosts.{half}"') == 2, half
