"""The demo's raster job, with GDAL: what it writes, reports, and leaves behind on failures."""

import contextlib
import io
import resource

import numpy as np
import pytest
from rich.console import Console

from rios_plugin_awsbatch.demo import raster
from rios_plugin_awsbatch.demo.report import print_report
from rios_plugin_awsbatch.errors import AWSBatchException
from tests.demo.support import Interrupted, Wrong, gdal, make, names, needs_gdal, osr, run


class TestResult:
    """What the job writes."""

    pytestmark = needs_gdal

    def test_is_the_ndvi_of_the_scene(self, scene_path, tmp_path):
        """Every pixel is (near infrared - red) / (near infrared + red)."""
        run(scene_path, tmp_path / "out.tif")
        red, infrared = gdal.Open(str(scene_path)).ReadAsArray()[2:4].astype(np.float32)
        index = gdal.Open(str(tmp_path / "out.tif")).ReadAsArray()
        np.testing.assert_array_equal(index, (infrared - red) / (infrared + red))

    @pytest.mark.parametrize(
        ("scales", "offsets", "expected"),
        [
            ((2.75e-5, 2.75e-5), (-0.2, -0.2), 0.7226),  # Landsat Collection 2
            ((1e-4, 1e-4), (-0.1, -0.1), 0.36),  # Sentinel-2
            ((1e-4, 2e-4), (0.0, 0.0), 0.6),
            ((1e-4, 1e-4), (0.0, 0.0), 1 / 3),
            ((0.0, float("nan")), (float("inf"), 0.0), 1 / 3),  # not to be taken seriously
        ],
    )
    def test_is_of_what_the_numbers_mean(self, scales, offsets, expected, tmp_path):
        """If bands have a scale and an offset, the index is that of the scaled values."""
        bands = np.array([[[9000] * 20] * 20, [[18000] * 20] * 20], np.uint16)
        dataset = make(tmp_path / "in.tif", bands, descriptions=("red", "nir"))
        for number, (scale, offset) in enumerate(zip(scales, offsets, strict=True), 1):
            dataset.GetRasterBand(number).SetScale(scale)
            dataset.GetRasterBand(number).SetOffset(offset)
        dataset = None
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=20)
        index = gdal.Open(str(tmp_path / "out.tif")).ReadAsArray()
        np.testing.assert_allclose(index, expected, atol=1e-4)

    def test_lies_where_the_scene_lies(self, scene_path, tmp_path):
        """Projection and geotransform are those of the input."""
        run(scene_path, tmp_path / "out.tif")
        scene, index = gdal.Open(str(scene_path)), gdal.Open(str(tmp_path / "out.tif"))
        assert index.GetGeoTransform() == scene.GetGeoTransform()
        assert index.GetSpatialRef().IsSame(scene.GetSpatialRef())

    def test_is_tiled_compressed_described_with_nodata_overviews_and_statistics(
        self, scene_path, tmp_path
    ):
        """The GeoTIFF has everything that viewers want."""
        run(scene_path, tmp_path / "out.tif")
        dataset = gdal.Open(str(tmp_path / "out.tif"))
        band = dataset.GetRasterBand(1)
        assert band.DataType == gdal.GDT_Float32
        assert band.GetBlockSize() == [64, 64]
        assert dataset.GetMetadataItem("COMPRESSION", "IMAGE_STRUCTURE") == "DEFLATE"
        assert band.GetNoDataValue() == raster.NODATA
        assert band.GetDescription() == (
            "NDVI of Band 3 (red, 0.63-0.69 um) and Band 4 (near infrared, 0.77-0.90 um)"
        )
        assert [band.GetOverview(number).XSize for number in range(band.GetOverviewCount())] == [
            175,
            88,
        ]
        assert float(band.GetMetadataItem("STATISTICS_MAXIMUM")) == pytest.approx(0.587, abs=1e-3)

    def test_keeps_ground_control_points(self, tmp_path):
        """A scene that is placed by control points stays so."""
        place = osr.SpatialReference()
        place.ImportFromEPSG(4326)
        points = [
            gdal.GCP(float(x), float(y), 0.0, x, y) for x, y in ((0, 0), (20, 0), (0, 20), (20, 20))
        ]
        make(tmp_path / "in.tif", np.ones((1, 20, 20), np.uint8)).SetGCPs(points, place)
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=20)
        dataset = gdal.Open(str(tmp_path / "out.tif"))
        assert dataset.GetGCPCount() == 4
        assert dataset.GetGCPSpatialRef().GetAuthorityCode(None) == "4326"
        assert dataset.GetGeoTransform(can_return_null=True) is None

    def test_keeps_rational_polynomial_coefficients(self, tmp_path):
        """A scene that is not rectified yet can still be; nothing is written beside the file."""
        scene = make(tmp_path / "in.tif", np.ones((1, 20, 20), np.uint8))
        coefficients = dict.fromkeys(
            ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF"),
            " ".join(map(str, range(1, 21))),
        )
        for name in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT"):
            coefficients |= {f"{name}_OFF": "10", f"{name}_SCALE": "20"}
        scene.SetMetadata(coefficients, "RPC")
        scene = None
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=20)
        kept = gdal.Open(str(tmp_path / "out.tif")).GetMetadata("RPC")
        assert kept == gdal.Open(str(tmp_path / "in.tif")).GetMetadata("RPC")
        assert kept["LINE_NUM_COEFF"].split()[19] == "20"
        assert names(tmp_path) == ["in.tif", "out.png", "out.tif"]

    @pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1)])
    def test_a_scene_may_be_smaller_than_a_block(self, tmp_path, shape):
        """It is one block, or a row of them, and has a picture too."""
        make(tmp_path / "in.tif", np.full((1, *shape), 7, np.uint8)).FlushCache()
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=64)
        index = gdal.Open(str(tmp_path / "out.tif")).ReadAsArray()
        np.testing.assert_array_equal(index, np.full(shape, 7))
        assert gdal.Open(str(tmp_path / "out.png")).RasterXSize == 2 * shape[1]

    def test_has_no_place_when_the_scene_has_none(self, tmp_path):
        """A plain image gives a plain index."""
        make(tmp_path / "in.tif", np.ones((1, 20, 20), np.uint8))
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=20)
        dataset = gdal.Open(str(tmp_path / "out.tif"))
        assert dataset.GetSpatialRef() is None
        assert dataset.GetGeoTransform(can_return_null=True) is None

    def test_nodata_of_any_band_is_nodata_of_the_index(self, tmp_path):
        """Where red or near infrared has no data, and where both are zero, there is no index."""
        bands = np.full((2, 10, 10), 10, np.int16)
        bands[0, 0, 0] = bands[1, 1, 1] = -1
        bands[:, 2, 2] = 0
        make(tmp_path / "in.tif", bands, nodata=-1, descriptions=("Red", "NIR")).FlushCache()
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=10)
        index = gdal.Open(str(tmp_path / "out.tif")).ReadAsArray()
        assert [tuple(place) for place in np.argwhere(index == raster.NODATA)] == [
            (0, 0),
            (1, 1),
            (2, 2),
        ]

    def test_nan_is_nodata(self, tmp_path):
        """Not-a-number in the input does not spread, and does not differ from the serial run."""
        bands = np.full((2, 10, 10), 0.5, np.float32)
        bands[0, 3, 4] = np.nan
        make(tmp_path / "in.tif", bands, descriptions=("Red", "NIR")).FlushCache()
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=5, workers=1)
        index = gdal.Open(str(tmp_path / "out.tif")).ReadAsArray()
        assert [tuple(place) for place in np.argwhere(index == raster.NODATA)] == [(3, 4)]

    def test_scene_without_any_valid_pixel_gives_an_empty_index(self, tmp_path):
        """Nothing to compute is no error."""
        make(tmp_path / "in.tif", np.zeros((1, 10, 10), np.uint8), nodata=0).FlushCache()
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=10)
        assert (gdal.Open(str(tmp_path / "out.tif")).ReadAsArray() == raster.NODATA).all()

    def test_replaces_an_older_result_and_what_described_it(self, scene_path, tmp_path):
        """A second run leaves nothing of the first."""
        (tmp_path / "out.tif").write_text("old")
        (tmp_path / "out.tif.aux.xml").write_text("<PAMDataset/>")
        run(scene_path, tmp_path / "out.tif")
        assert names(tmp_path) == ["out.png", "out.tif"]
        assert gdal.Open(str(tmp_path / "out.tif")).RasterXSize == 349


class TestRounds:
    """How blocks go to the job manager."""

    pytestmark = needs_gdal

    def test_a_round_has_one_block_more_than_workers(self, scene_path, tmp_path):
        """numSubJobs counts main, and blocks go row by row."""
        report, manager = run(scene_path, tmp_path / "out.tif", workers=3, block=128)
        assert manager.num_sub_jobs == 4
        assert manager.rounds == [
            [(0, 0), (1, 0), (2, 0), (0, 1)],
            [(1, 1), (2, 1), (0, 2), (1, 2)],
            [(2, 2)],
        ]
        assert (report.blocks, report.in_workers.blocks, report.workers) == (9, 6, 3)

    def test_manager_is_finalised_after_the_last_block(self, scene_path, tmp_path):
        """Workers end with the job."""
        assert run(scene_path, tmp_path / "out.tif")[1].finalised

    def test_a_block_as_large_as_the_raster_is_one_round(self, scene_path, tmp_path):
        """So is a larger one."""
        report, manager = run(scene_path, tmp_path / "out.tif", block=1000)
        assert report.blocks == len(manager.rounds) == 1

    def test_report_is_a_short_table(self, scene_path, tmp_path):
        """The table has blocks, workers, bytes, requests per block, seconds, index and files."""
        report, _ = run(scene_path, tmp_path / "out[1].tif")
        console = Console(file=io.StringIO(), width=200)
        print_report(report, console)
        text = console.file.getvalue()
        for words in (
            "NDVI of Band 3",
            "36, of which 27 in workers",
            "13.50 in workers, 4.50 here",
            "1,000",
            "500",
            "4.0",
            "out[1].tif",
            "out[1].png",
        ):
            assert words in text


class TestFailure:
    """What happens when something goes wrong on the way."""

    pytestmark = needs_gdal

    def test_an_interrupted_job_leaves_no_file(self, scene_path, tmp_path):
        """After Ctrl-C the folder is as before, and the workers are told to end."""
        opened = []
        with pytest.raises(KeyboardInterrupt):
            run(
                scene_path,
                tmp_path / "out.tif",
                lambda number: opened.append(Interrupted(number)) or opened[-1],
            )
        assert names(tmp_path) == []
        assert opened[0].finalised

    def test_a_failing_job_keeps_the_older_result(self, scene_path, tmp_path):
        """What was there before is not lost."""
        (tmp_path / "out.tif").write_text("old")
        with pytest.raises(KeyboardInterrupt):
            run(scene_path, tmp_path / "out.tif", Interrupted)
        assert (tmp_path / "out.tif").read_text() == "old"

    def test_a_result_unlike_the_serial_run_is_refused(self, scene_path, tmp_path):
        """One wrong pixel fails the job with the block's place."""
        with pytest.raises(
            AWSBatchException,
            match=r"1 of 4096 pixels of block \(0, 0\) differ from a serial run",
        ):
            run(scene_path, tmp_path / "out.tif", Wrong)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("room", [20_000, 200_000, 400_000, 520_000, 540_000])
    def test_a_full_disk_is_one_sentence_and_leaves_no_file(self, scene_path, tmp_path, room):
        """Wherever the space ends, in tiles or in overviews, the error names the file."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with contextlib.ExitStack() as stack:
            stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
            raised = stack.enter_context(pytest.raises(AWSBatchException))
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            run(scene_path, tmp_path / "out.tif")
        assert str(raised.value).startswith(f"{tmp_path}/out.")
        assert "cannot be written: " in str(raised.value)
        assert names(tmp_path) == []
