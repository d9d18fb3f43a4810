"""Run peers' programs, each in a process and a folder of its own."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PATIENCE = 300  # seconds, for what hangs


@dataclasses.dataclass(frozen=True)
class Driven:
    """What came of a program.

    Attributes:
        outcome: What its `run()` returned, as Python writes it, or the exception's type.
        calls: How often main called the user's function, for each `apply`, if it was run serially.
        blocks: How many blocks "workers" and "main" have computed, if there were workers.
        said: What it wrote.
    """

    outcome: str
    calls: list
    blocks: dict
    said: str


def drive(how, module, folder):
    """Run a module's `run()`; `tests/peers/support/driver.py` says how.

    Args:
        how: In which way RIOS computes.
        module: The module's full name.
        folder: A new folder, in which it runs.
    """
    folder.mkdir()
    report = folder / "report.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.peers.support.driver", str(report), how, module],
        cwd=folder,
        env={**os.environ, **_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert report.exists(), ended.stdout
    return Driven(**json.loads(report.read_text()), said=ended.stdout)


def _environment():
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    given = {"PYTHONPATH": path, "RIOS_AWSBATCH_QUICK_BLOCKS": "workers"}
    if "RIOS_SUITE" in os.environ:
        given["RIOS_SUITE"] = str(Path(os.environ["RIOS_SUITE"]).resolve())
    return given


def programs_of_rios():
    """Return the names of RIOS's test programs, those of RIOS_SUITE or the installed RIOS's."""
    folder = os.environ.get("RIOS_SUITE")
    if not folder:
        spec = importlib.util.find_spec("rios.riostests")
        folder = spec.submodule_search_locations[0] if spec else None
    paths = sorted(Path(folder).glob("test*.py")) if folder else []
    return [path.stem for path in paths if "\ndef run(" in path.read_text()]
