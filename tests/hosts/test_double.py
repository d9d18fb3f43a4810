"""The contracts over doubles of RIOS, which need neither RIOS nor GDAL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("number", [1, 2])
def test_the_adapter_keeps_the_contract(number, tmp_path):
    """Everything in `test_contract1.py` and `test_contract2.py`, without RIOS."""
    path = os.pathsep.join(
        [str(HERE / f"double{number}"), os.environ.get("PYTHONPATH", "")]
    ).rstrip(os.pathsep)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",  # the outer pytest's processes are enough
        f"--basetemp={tmp_path / 'files'}",
    ]
    ended = subprocess.run(
        [*command, str(HERE / f"test_contract{number}.py")],
        env={**os.environ, "PYTHONPATH": path},
        cwd=HERE.parent.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    last = ended.stdout.splitlines()[-1]
    assert "passed" in last
    assert "skipped" not in last
    print(last)
