"""The demo's input: the scene that comes with the package, and scenes of users."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rios_plugin_awsbatch.demo import raster
from tests.demo.support import gdal, make, needs_gdal, run

# Of the original, L7_ETMs.tif of the R package stars: GDAL's checksums of the bands.
CHECKSUMS = [9513, 44443, 21073, 10806, 60959, 64219]
GEOTRANSFORM = (
    288776.25000080315,
    28.49999999927454,
    0.0,
    9120760.750028737,
    0.0,
    -28.49999999927454,
)
DESCRIPTIONS = [
    "Band 1 (blue, 0.45-0.52 um)",
    "Band 2 (green, 0.52-0.60 um)",
    "Band 3 (red, 0.63-0.69 um)",
    "Band 4 (near infrared, 0.77-0.90 um)",
    "Band 5 (shortwave infrared 1, 1.55-1.75 um)",
    "Band 7 (shortwave infrared 2, 2.09-2.35 um)",
]


class TestScene:
    """The Landsat scene that comes with the package."""

    pytestmark = needs_gdal

    def test_pixels_and_place_are_those_of_the_original(self, scene_path):
        """Re-encoding changed neither a pixel nor where the scene lies."""
        dataset = gdal.Open(str(scene_path))
        assert [dataset.GetRasterBand(number).Checksum() for number in range(1, 7)] == CHECKSUMS
        assert dataset.GetGeoTransform() == GEOTRANSFORM
        assert dataset.GetSpatialRef().GetAuthorityCode(None) == "31985"

    def test_is_cloud_optimized_with_described_bands_in_order(self, scene_path):
        """A reader finds six bands by their descriptions."""
        dataset = gdal.Open(str(scene_path))
        assert dataset.GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE") == "COG"
        assert [
            dataset.GetRasterBand(number).GetDescription() for number in range(1, 7)
        ] == DESCRIPTIONS

    def test_says_where_it_comes_from(self, scene_path):
        """The note beside it names source and licence."""
        note = scene_path.with_name("README.md").read_text()
        assert "public domain" in note
        assert "Apache License 2.0" in note


class TestBands:
    """Which bands the index is made of."""

    pytestmark = needs_gdal

    @pytest.mark.parametrize(
        "descriptions",
        [
            ("NIR", "Red"),
            ("near-infrared reflectance", "red reflectance"),
            ("B8 Near Infra Red", "sr_red"),
        ],
    )
    def test_red_and_near_infrared_are_found_by_description(self, tmp_path, descriptions):
        """The words that producers use are understood, in any order of bands."""
        make(
            tmp_path / "in.tif", np.ones((2, 4, 4), np.uint8), descriptions=descriptions
        ).FlushCache()
        assert raster.Scene(tmp_path / "in.tif").red_and_near_infrared() == (2, 1)

    def test_red_edge_and_infrared_are_not_red(self, tmp_path):
        """Similar words do not deceive."""
        words = ("red edge 1", "Infrared", "shortwave infrared 1", "NIR")
        make(tmp_path / "in.tif", np.ones((4, 4, 4), np.uint8), descriptions=words).FlushCache()
        assert raster.Scene(tmp_path / "in.tif").red_and_near_infrared() is None

    @pytest.mark.parametrize(("red", "infrared"), [("0.66", "0.84"), ("660", "842.0")])
    def test_red_and_near_infrared_are_found_by_wavelength(self, tmp_path, red, infrared):
        """Metadata in micrometres or nanometres count more than names."""
        dataset = make(
            tmp_path / "in.tif", np.ones((3, 4, 4), np.uint8), descriptions=("red", "b", "c")
        )
        for number, wavelength in enumerate(("0.5", red, infrared), 1):
            dataset.GetRasterBand(number).SetMetadataItem("wavelength", wavelength)
        dataset.FlushCache()
        assert raster.Scene(tmp_path / "in.tif").red_and_near_infrared() == (2, 3)

    def test_red_is_found_by_colour_interpretation(self, tmp_path):
        """A band that GDAL shows as red is red."""
        colours = [gdal.GCI_RedBand, gdal.GCI_Undefined]
        make(
            tmp_path / "in.tif",
            np.ones((2, 4, 4), np.uint8),
            descriptions=("", "NIR"),
            colours=colours,
        ).FlushCache()
        assert raster.Scene(tmp_path / "in.tif").red_and_near_infrared() == (1, 2)

    def test_brightness_stands_in_and_the_report_says_so(self, tmp_path):
        """Without red and near infrared, the index is the mean of all bands but alpha."""
        bands = np.stack([np.full((8, 8), value, np.uint8) for value in (1, 4, 255)])
        colours = [gdal.GCI_GrayIndex, gdal.GCI_Undefined, gdal.GCI_AlphaBand]
        make(tmp_path / "in.tif", bands, colours=colours).FlushCache()
        report, _ = run(tmp_path / "in.tif", tmp_path / "out.tif", block=8)
        assert (gdal.Open(str(tmp_path / "out.tif")).ReadAsArray() == 2.5).all()
        assert (
            report.index == "Brightness, the mean of its 2 bands (no red and near infrared found)"
        )


def test_windows_cover_a_raster_once():
    """Blocks at the edges are smaller, none is empty."""
    counts = np.zeros((7, 10), int)
    for window in raster.windows(10, 7, 4):
        counts[
            window.top : window.top + window.height, window.left : window.left + window.width
        ] += 1
    assert (counts == 1).all()


def test_without_gdal_one_sentence_says_how_to_install_it(tmp_path):
    """A machine without GDAL's bindings gets the command that installs them."""
    (tmp_path / "osgeo").mkdir()
    (tmp_path / "osgeo" / "__init__.py").write_text("raise ImportError('no libgdal')")
    code = "from rios_plugin_awsbatch.demo import raster; raster.load_gdal()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (
        "AWSBatchException: GDAL's Python bindings cannot be imported (no libgdal)" in done.stderr
    )
    assert "pip install" in done.stderr
