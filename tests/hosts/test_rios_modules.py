"""RIOS's scripts with modules beside them, and the variables of their workers."""

import pytest

from tests.hosts.support import hosted

GENERATION = hosted.generation()
if not GENERATION:
    pytest.skip(
        "no RIOS is installed (tox -e rios1, rios2, riosdev do it)", allow_module_level=True
    )

from tests.hosts.support.scene import describe, differences
from tests.hosts.support.scripting import SCRIPTS, run_script

SCRIPT = f"ndvi{GENERATION}.py"
WORKERS = {1: (3, "AWSBatch"), 2: (2,)}[GENERATION]
INIT = "from .index import ndvi\n"
INDEX = """
import os
from pathlib import Path

import numpy as np


def ndvi(info, inputs, outputs):
    import lazily

    red, infrared = inputs.img[1:3].astype(np.float32)
    gain = float(Path(__file__).with_name("gain.txt").read_text())
    outputs.ndvi = lazily.times(((infrared - red) / np.maximum(infrared + red, 1))[None], gain)
    print("seen", os.getpid(), repr(os.environ.get("RAB_OWN")))
"""


def script_with_modules(folder):
    """Write the script in such a way that its function stands in a package beside it."""
    folder.mkdir()
    before, _, rest = (SCRIPTS / SCRIPT).read_text().partition("def ndvi(")
    after = rest.partition("\n\n\n")[2]
    (folder / "main.py").write_text(f"{before}from own_index import ndvi\n\n{after}")
    (folder / "own_index").mkdir()
    (folder / "own_index" / "__init__.py").write_text(INIT)
    (folder / "own_index" / "index.py").write_text(INDEX)
    (folder / "own_index" / "gain.txt").write_text("2.5")
    (folder / "lazily.py").write_text("def times(array, gain):\n    return array * gain\n")
    return folder / "main.py"


@pytest.mark.usefixtures("cloud")
def test_a_function_of_a_module_beside_the_script(files, tmp_path):
    """The script says not a word of it, and the result is that of a serial run."""
    script = script_with_modules(tmp_path / "folder")
    given = {"RIOS_AWSBATCH_MODULES": "", "RIOS_AWSBATCH_QUICK_BLOCKS": "workers"}
    serial = run_script(script, files / "bands.tif", tmp_path / "serial")
    ended = run_script(script, files / "bands.tif", tmp_path / "aws", *WORKERS, **given)
    assert (serial.returncode, ended.returncode) == (0, 0), ended.stderr
    assert differences(describe(tmp_path / "aws"), describe(tmp_path / "serial")) == []
    assert ended.stdout.count("seen") < serial.stdout.count("seen"), "workers have computed"


@pytest.mark.usefixtures("cloud")
def test_variables_reach_the_blocks(files, tmp_path):
    """RIOS_AWSBATCH_ENV holds for RIOS's workers too."""
    script = script_with_modules(tmp_path / "folder")
    check = "    assert os.environ['RAB_OWN'] == 'x'\n"
    (script.parent / "own_index" / "index.py").write_text(INDEX + check)
    given = {"RIOS_AWSBATCH_MODULES": "", "RIOS_AWSBATCH_QUICK_BLOCKS": "workers", "RAB_OWN": "x"}
    scene = files / "bands.tif"
    ended = run_script(script, scene, tmp_path / "without", *WORKERS, **given)
    assert ended.returncode != 0
    assert "KeyError: 'RAB_OWN'" in ended.stderr
    given["RIOS_AWSBATCH_ENV"] = "RAB_OWN"
    ended = run_script(script, scene, tmp_path / "with", *WORKERS, **given)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(GENERATION != 2, reason="computeWorkerExtraParams is of RIOS 2")
def test_variables_in_the_extra_params(monkeypatch):
    """`env` is a dictionary, a list or text, as for BatchExecutor."""
    from rios_plugin_awsbatch.hosts.rios2_params import extra_params  # noqa: PLC0415 - RIOS 2 only

    monkeypatch.setenv("RAB_OWN", "x")
    for given in ({"RAB_OWN": "y"}, ["RAB_OWN=y"], "RAB_OWN=y"):
        assert extra_params({"env": given}).settings().env == ("RAB_OWN=y",)
    assert extra_params({"env": "gdal,RAB_OWN"}).settings().env == ("gdal", "RAB_OWN")
    assert extra_params({"modules": "none"}).settings().modules == "none"
