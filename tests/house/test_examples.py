"""The examples run on the embedded AWS where their host is installed, and agree."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCENE = ROOT / "rios_plugin_awsbatch" / "demo" / "scene" / "L7_ETMs.tif"


def there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


HOSTS = {
    "ndvi_rios1.py": (
        "RIOS 1.4",
        there("rios.parallel.jobmanager") and not there("rios.computemanager"),
    ),
    "ndvi_rios2.py": ("RIOS 2", there("rios.computemanager")),
    "ndvi_executor.py": ("GDAL", True),
}


@pytest.mark.gdal
@pytest.mark.parametrize("example", sorted(HOSTS))
def test_example_computes_the_ndvi_of_the_scene(example: str, tmp_path: Path):
    """Each example writes the same NDVI as numpy computes of the whole scene."""
    gdal = pytest.importorskip("osgeo.gdal", reason="GDAL is not installed")
    host, present = HOSTS[example]
    if not present:
        pytest.skip(f"{host} is not installed")
    output = tmp_path / "ndvi.tif"
    program = Path(sys.executable).parent / "rios-awsbatch"
    subprocess.run(
        [
            program,
            "local",
            "--workers",
            "2",
            "--",
            "python",
            ROOT / "examples" / example,
            SCENE,
            output,
        ],
        check=True,
        cwd=tmp_path,
    )
    scene = gdal.Open(str(SCENE)).ReadAsArray().astype("float32")
    expected = (scene[3] - scene[2]) / np.maximum(scene[3] + scene[2], 1)
    assert np.array_equal(gdal.Open(str(output)).ReadAsArray(), expected)
