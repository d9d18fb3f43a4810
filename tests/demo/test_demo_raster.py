"""The demo's raster job: reading, computing, writing and refusing, with GDAL but without AWS."""

import contextlib
import io
import os
import resource
import struct
import subprocess
import sys
import types
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rios_plugin_awsbatch.demo import job as demo
from rios_plugin_awsbatch.demo import quicklook, raster
from rios_plugin_awsbatch.demo.indices import BlockInfo, brightness, ndvi
from rios_plugin_awsbatch.errors import AWSBatchException

try:
    from osgeo import gdal, gdal_array, osr
except ImportError as error:
    NO_GDAL = f"GDAL's Python bindings cannot be imported: {error}"
    gdal = osr = None
else:
    NO_GDAL = ""
    gdal.UseExceptions()
    osr.UseExceptions()

needs_gdal = [
    pytest.mark.gdal,
    pytest.mark.skipif(bool(NO_GDAL), reason=NO_GDAL or "GDAL is there"),
]

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


class Serial:
    """A job manager that computes everything here, and remembers what it was given."""

    def __init__(self, num_sub_jobs):
        self.num_sub_jobs = num_sub_jobs
        self.rounds = []
        self.finalised = False

    def compute(self, function, job):
        params = job.prepareForPickling().getFunctionParams()
        function(*params)
        return job.getFunctionResult(params)

    def runSubJobs(self, function, jobs, /):
        self.rounds.append([(job.info.xblock, job.info.yblock) for job in jobs])
        return [self.compute(function, job) for job in jobs]

    def finalise(self):
        self.finalised = True

    def statistics(self):
        tasks = sum(len(some) - 1 for some in self.rounds)
        workers = self.num_sub_jobs - 1
        return types.SimpleNamespace(
            workers=workers, tasks=tasks, requests=4 * tasks, bytes_sent=1000, bytes_received=500
        )


class Refusing(Serial):
    """A job manager that must not be opened."""

    def __init__(self, num_sub_jobs):
        pytest.fail(f"{num_sub_jobs} sub-jobs were asked for, although the arguments cannot work")


class Interrupted(Serial):
    """A job manager whose user presses Ctrl-C in the second round."""

    def runSubJobs(self, function, jobs, /):
        if self.rounds:
            raise KeyboardInterrupt
        return super().runSubJobs(function, jobs)


class Wrong(Serial):
    """A job manager that changes one pixel."""

    def compute(self, function, job):
        index = super().compute(function, job)
        index[0, 0] += 0.001
        return index


def run(scene, output, manager=Serial, workers=3, block=64):
    opened = []

    def open_manager(number):
        opened.append(manager(number))
        return opened[-1]

    report = demo.run_job(scene, output, workers, block, Console(file=io.StringIO()), open_manager)
    return report, opened[0]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make(path, bands, *, nodata=None, descriptions=(), colours=()):
    """Write a small GeoTIFF of arrays."""
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(bands.dtype)
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), bands.shape[2], bands.shape[1], len(bands), kind
    )
    for number, values in enumerate(bands, 1):
        band = dataset.GetRasterBand(number)
        band.WriteArray(values)
        if nodata is not None:
            band.SetNoDataValue(nodata)
        if number <= len(descriptions):
            band.SetDescription(descriptions[number - 1])
        if number <= len(colours):
            band.SetColorInterpretation(colours[number - 1])
    return dataset


@pytest.fixture
def scene_path():
    return Path(str(resources.files("rios_plugin_awsbatch") / "demo" / "scene" / "L7_ETMs.tif"))


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


class TestResult:
    """What the job writes."""

    pytestmark = needs_gdal

    def test_is_the_ndvi_of_the_scene(self, scene_path, tmp_path):
        """Every pixel is (near infrared - red) / (near infrared + red)."""
        run(scene_path, tmp_path / "out.tif")
        red, infrared = gdal.Open(str(scene_path)).ReadAsArray()[2:4].astype(np.float32)
        index = gdal.Open(str(tmp_path / "out.tif")).ReadAsArray()
        np.testing.assert_array_equal(index, (infrared - red) / (infrared + red))

    def test_lies_where_the_scene_lies(self, scene_path, tmp_path):
        """Projection and geotransform are those of the input."""
        run(scene_path, tmp_path / "out.tif")
        scene, index = gdal.Open(str(scene_path)), gdal.Open(str(tmp_path / "out.tif"))
        assert index.GetGeoTransform() == scene.GetGeoTransform()
        assert index.GetSpatialRef().IsSame(scene.GetSpatialRef())

    def test_is_tiled_compressed_described_with_nodata_overviews_and_statistics(
        self, scene_path, tmp_path
    ):
        """The GeoTIFF has everything that a viewer wants."""
        run(scene_path, tmp_path / "out.tif")
        dataset = gdal.Open(str(tmp_path / "out.tif"))
        band = dataset.GetRasterBand(1)
        assert band.DataType == gdal.GDT_Float32
        assert band.GetBlockSize() == [64, 64]
        assert dataset.GetMetadataItem("COMPRESSION", "IMAGE_STRUCTURE") == "DEFLATE"
        assert band.GetNoDataValue() == raster.NODATA
        assert band.GetDescription() == f"NDVI of {DESCRIPTIONS[2]} and {DESCRIPTIONS[3]}"
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
        """Not-a-number in the input does not spread, and does not count as a difference from the serial run."""
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

    def test_quicklook_shows_the_scene_at_twice_its_size_with_a_legend(self, scene_path, tmp_path):
        """A small scene is drawn large enough to see; GDAL reads the PNG."""
        run(scene_path, tmp_path / "out.tif")
        picture = gdal.Open(str(tmp_path / "out.png"))
        assert (picture.RasterXSize, picture.RasterCount) == (2 * 349, 4)
        assert picture.RasterYSize > 2 * 352

    def test_quicklook_of_a_large_scene_comes_from_an_overview(self, tmp_path):
        """A large scene is drawn at most 1024 pixels wide."""
        make(
            tmp_path / "in.tif", np.tile(np.arange(250, dtype=np.uint8), (1, 500, 12))
        ).FlushCache()
        run(tmp_path / "in.tif", tmp_path / "out.tif", block=1000)
        assert gdal.Open(str(tmp_path / "out.png")).RasterXSize == quicklook.LARGEST


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
        """Without red and near infrared, the mean of all bands is computed and named; an alpha band is none."""
        bands = np.stack([np.full((8, 8), value, np.uint8) for value in (1, 4, 255)])
        colours = [gdal.GCI_GrayIndex, gdal.GCI_Undefined, gdal.GCI_AlphaBand]
        make(tmp_path / "in.tif", bands, colours=colours).FlushCache()
        report, _ = run(tmp_path / "in.tif", tmp_path / "out.tif", block=8)
        assert (gdal.Open(str(tmp_path / "out.tif")).ReadAsArray() == 2.5).all()
        assert (
            report.index == "Brightness, the mean of its 2 bands (no red and near infrared found)"
        )


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
        assert (report.blocks, report.tasks, report.workers) == (9, 6, 3)

    def test_manager_is_finalised_after_the_last_block(self, scene_path, tmp_path):
        """Workers end with the job."""
        assert run(scene_path, tmp_path / "out.tif")[1].finalised

    def test_a_block_as_large_as_the_raster_is_one_round(self, scene_path, tmp_path):
        """The largest block that makes sense works."""
        report, manager = run(scene_path, tmp_path / "out.tif", block=352)
        assert report.blocks == len(manager.rounds) == 1

    def test_report_is_a_short_table(self, scene_path, tmp_path):
        """The table names blocks, workers, bytes, requests per block, seconds, index and files."""
        report, _ = run(scene_path, tmp_path / "out[1].tif")
        console = Console(file=io.StringIO(), width=200)
        demo.print_report(report, console)
        text = console.file.getvalue()
        for words in (
            "NDVI of Band 3",
            "36, of which 27 in workers",
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
            match=r"1 of 4096 pixels of block \(0, 0\) are not those of a serial run",
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

    def test_a_truncated_input_is_one_sentence(self, scene_path, tmp_path):
        """A scene that was not copied to its end is named, with the block that cannot be read."""
        (tmp_path / "in.tif").write_bytes(scene_path.read_bytes()[:300_000])
        with pytest.raises(AWSBatchException, match=r"in\.tif cannot be read at block \(\d, \d\)"):
            run(tmp_path / "in.tif", tmp_path / "out.tif")
        assert names(tmp_path) == ["in.tif"]


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
        match = r"in\.gpkg has no bands to compute with; give one of its parts, such as GPKG:.*in\.gpkg:a"
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

    @pytest.mark.parametrize("block", [0, -5, 353])
    def test_a_block_that_does_not_suit_the_raster_is_refused(self, scene_path, tmp_path, block):
        """Too small, or larger than the scene."""
        self.refuse(
            scene_path,
            tmp_path / "out.tif",
            f"A block of {block} pixels does not suit",
            block=block,
        )

    @pytest.mark.parametrize("workers", [0, -1])
    def test_no_workers_are_refused(self, scene_path, tmp_path, workers):
        """At least one must compute."""
        self.refuse(scene_path, tmp_path / "out.tif", f"{workers} workers cannot", workers=workers)

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


def test_functions_have_the_shape_that_rios_users_know():
    """(info, inputs, outputs), with arrays of bands, rows, columns; no GDAL is needed to compute."""
    inputs = types.SimpleNamespace(
        scene=np.array([[[1, 0, 5]], [[3, 0, 5]]], np.uint8), valid=np.array([[1, 1, 0]], bool)
    )
    info = BlockInfo(0, 0, raster.NODATA)
    outputs = types.SimpleNamespace()
    ndvi(info, inputs, outputs)
    assert outputs.index.tolist() == [[0.5, raster.NODATA, raster.NODATA]]
    brightness(info, inputs, outputs)
    assert outputs.index.tolist() == [[2.0, 0.0, raster.NODATA]]


def test_windows_cover_a_raster_once():
    """Blocks at the edges are smaller, none is empty."""
    counts = np.zeros((7, 10), int)
    for window in raster.windows(10, 7, 4):
        counts[
            window.top : window.top + window.height, window.left : window.left + window.width
        ] += 1
    assert (counts == 1).all()


def test_png_is_well_formed_and_transparent_where_nothing_is_valid(tmp_path):
    """Signature, sizes and check sums are right; the pixels come back."""
    picture = quicklook.draw(
        np.zeros((3, 4), np.float32), np.zeros((3, 4), bool), "NDVI", signed=True
    )
    quicklook.write_png(tmp_path / "a.png", picture)
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (8, 6)
    assert zlib.decompress(data[data.index(b"IDAT") + 4 : -16]) == bytes(6 * (1 + 8 * 4))


def test_white_is_zero_and_green_is_above():
    """The colours of an index with a sign."""
    values = np.linspace(-1, 1, 100 * 100, dtype=np.float32).reshape(100, 100)
    picture = quicklook.draw(values, np.ones_like(values, bool), "NDVI", signed=True)
    brown, white, green = picture[0, 0], picture[100, 0], picture[199, 199]
    assert brown[0] > brown[1] > brown[2]
    assert min(white[:3]) > 240
    assert green[1] > max(green[0], green[2])


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
