"""What the demo refuses before it starts a worker."""

from pathlib import Path

import numpy as np
import pytest

from rios_plugin_awsbatch.errors import AWSBatchException
from tests.demo.support import Refusing, gdal, make, names, needs_gdal, run

pytestmark = needs_gdal


class TestBadInput:
    """Arguments that cannot work are refused before a worker is started."""

    pytestmark = needs_gdal

    def refuse(self, scene, output, match, **options):
        with pytest.raises(AWSBatchException, match=match):
            run(scene, output, Refusing, **options)

    def test_a_missing_input_is_named(self, tmp_path):
        """No such scene."""
        self.refuse(
            tmp_path / "none.tif", tmp_path / "out.tif", r"none\.tif cannot be opened as a raster"
        )

    def test_an_input_that_is_no_raster_is_named(self, tmp_path):
        """A text is no scene."""
        (tmp_path / "in.tif").write_text("Not a raster")
        self.refuse(
            tmp_path / "in.tif", tmp_path / "out.tif", r"in\.tif cannot be opened as a raster"
        )

    def test_an_input_without_bands_is_named(self, tmp_path):
        """A raster needs bands."""
        make(tmp_path / "a.tif", np.ones((1, 9, 9), np.uint8)).FlushCache()
        for option in (["RASTER_TABLE=a"], ["RASTER_TABLE=b", "APPEND_SUBDATASET=YES"]):
            options = {"format": "GPKG", "outputBounds": [0, 9, 9, 0], "outputSRS": "EPSG:4326"}
            gdal.Translate(
                str(tmp_path / "in.gpkg"),
                str(tmp_path / "a.tif"),
                creationOptions=option,
                **options,
            )
        match = r"in\.gpkg has no bands .*; give one of its parts, such as GPKG:.*in\.gpkg:a"
        self.refuse(tmp_path / "in.gpkg", tmp_path / "out.tif", match)

    def test_an_input_of_complex_numbers_is_named(self, tmp_path):
        """Radar's raw numbers have no brightness."""
        make(tmp_path / "in.tif", np.ones((1, 9, 9), np.complex64)).FlushCache()
        self.refuse(
            tmp_path / "in.tif",
            tmp_path / "out.tif",
            r"in\.tif has bands of complex numbers",
            block=9,
        )

    @pytest.mark.parametrize("block", [0, -5])
    def test_a_block_without_pixels_is_refused(self, scene_path, tmp_path, block):
        """A block has at least one pixel."""
        match = f"block is {block}; give at least 1"
        self.refuse(scene_path, tmp_path / "out.tif", match, block=block)

    def test_an_input_that_ends_early_is_named(self, scene_path, tmp_path):
        """A scene that was not copied to its end is found out before workers cost money."""
        (tmp_path / "in.tif").write_bytes(scene_path.read_bytes()[:300_000])
        match = r"in\.tif cannot be read at block \(\d, \d\)"
        self.refuse(tmp_path / "in.tif", tmp_path / "out.tif", match)
        assert names(tmp_path) == ["in.tif"]

    @pytest.mark.parametrize("workers", [0, -1])
    def test_no_workers_are_refused(self, scene_path, tmp_path, workers):
        """At least one must compute."""
        self.refuse(
            scene_path,
            tmp_path / "out.tif",
            f"workers is {workers}; give at least 1",
            workers=workers,
        )

    def test_an_output_that_is_the_input_is_refused(self, scene_path, tmp_path):
        """The input is not overwritten, by whatever name it goes."""
        (tmp_path / "in.tif").write_bytes(scene_path.read_bytes())
        (tmp_path / "link.tif").symlink_to(tmp_path / "in.tif")
        for name in ("in.tif", "link.tif"):
            self.refuse(tmp_path / "in.tif", tmp_path / name, f"{name} is the input")
        assert (tmp_path / "in.tif").read_bytes() == scene_path.read_bytes()

    def test_a_quicklook_that_is_the_input_is_refused(self, tmp_path):
        """A PNG as input is not overwritten by the picture beside the output."""
        (tmp_path / "in.png").write_bytes(b"")
        self.refuse(tmp_path / "in.png", tmp_path / "in.tif", r"in\.png is the input")

    def test_an_output_in_no_folder_is_refused(self, scene_path, tmp_path):
        """The folder must be there."""
        self.refuse(
            scene_path,
            tmp_path / "none" / "out.tif",
            r"out\.tif cannot be written: there is no folder",
        )

    def test_an_output_that_is_a_folder_is_refused(self, scene_path, tmp_path):
        """A folder is not replaced by a file."""
        (tmp_path / "out.tif").mkdir()
        self.refuse(scene_path, tmp_path / "out.tif", r"out\.tif cannot be written: it is a folder")

    def test_an_output_in_a_folder_that_cannot_be_written_is_refused(self, scene_path):
        """Root writes everywhere but in /proc."""
        self.refuse(scene_path, Path("/proc/out.tif"), r"/proc/out\.tif cannot be written")

    def test_an_output_of_another_format_is_refused(self, scene_path, tmp_path):
        """The output is a GeoTIFF."""
        self.refuse(scene_path, tmp_path / "out.png", r"out\.png must end in \.tif")
