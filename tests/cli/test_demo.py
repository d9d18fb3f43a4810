"""`rios-awsbatch demo` as a user types it; what it computes is tested with the demo."""

import pytest
from click.testing import CliRunner

from rios_plugin_awsbatch.cli import demo as module
from rios_plugin_awsbatch.cli.demo import SCENE, demo
from rios_plugin_awsbatch.errors import AWSBatchException
from tests.demo.support import gdal, needs_gdal


def test_the_scene_is_there():
    """Without --input, the package's own scene is used."""
    assert SCENE.is_file()


class TestDemo:
    """The command."""

    pytestmark = needs_gdal

    @pytest.mark.parametrize(
        "words", [["--input", "none.tif"], ["--input", __file__], ["--output", "ndvi.png"]]
    )
    def test_bad_input_starts_no_aws(self, monkeypatch, tmp_path, words):
        """The input is checked first, so a slip of the pen is told at once."""

        def started(**_):
            pytest.fail("the embedded AWS was started")

        monkeypatch.setattr(module, "LocalAWS", started)
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(demo, words)
        assert isinstance(result.exception, AWSBatchException)
        assert list(tmp_path.iterdir()) == []

    def test_it_runs_on_an_embedded_aws_of_its_own(self, monkeypatch, tmp_path):
        """Workers compute all blocks, even the only one, and the table says so."""
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(demo, ["--workers", "1", "--block", "500"])
        assert result.exception is None
        assert "1, of which 1 in workers" in result.output
        assert gdal.Open("ndvi.tif").RasterXSize == 349
