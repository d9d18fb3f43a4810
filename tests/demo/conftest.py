"""Fixtures of the demo's tests."""

from importlib import resources
from pathlib import Path

import pytest


@pytest.fixture
def scene_path():
    """The Landsat scene that comes with the package."""
    return Path(str(resources.files("rios_plugin_awsbatch") / "demo" / "scene" / "L7_ETMs.tif"))
