"""The demo's raster, in and out, by GDAL: a scene read block by block, an index written the same way.

GDAL is imported by `load_gdal` alone, when a raster is opened: the rest of the package works without it. Whatever GDAL
finds wrong becomes one sentence that names the file.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rios_plugin_awsbatch.errors import AWSBatchException

__all__ = ["NODATA", "IndexFile", "Scene", "Window", "load_gdal", "replacing", "windows"]

NODATA = -9999.0
RED_UM = (0.62, 0.70)
NEAR_INFRARED_UM = (0.75, 0.95)
SMALLEST_OVERVIEW = 64
FULL = 100_000
SIDECARS = (".aux.xml", ".ovr", ".msk")

Pixels = npt.NDArray[Any]


def load_gdal() -> Any:
    """Return the module `osgeo.gdal`, which raises exceptions from then on.

    Raises:
        AWSBatchException: GDAL's Python bindings, or their part for numpy, are not installed.
    """
    try:
        from osgeo import gdal, gdal_array  # noqa: F401, PLC0415 - GDAL is no hard dependency
    except ImportError as error:
        raise AWSBatchException(
            f"GDAL's Python bindings cannot be imported ({error}); install them for the installed libgdal: "
            'pip install numpy setuptools && pip install --no-build-isolation "gdal==$(gdal-config --version)"'
        ) from error
    gdal.UseExceptions()
    return gdal


@dataclasses.dataclass(frozen=True)
class Window:
    """A block of a raster: its place among the blocks, and its pixels."""

    xblock: int
    yblock: int
    left: int
    top: int
    width: int
    height: int

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """As GDAL wants it: left, top, width, height."""
        return self.left, self.top, self.width, self.height


def windows(width: int, height: int, block: int) -> list[Window]:
    """Cut a raster into blocks of `block` x `block` pixels, smaller at the right and lower edges, row by row."""
    return [
        Window(
            left // block,
            top // block,
            left,
            top,
            min(block, width - left),
            min(block, height - top),
        )
        for top in range(0, height, block)
        for left in range(0, width, block)
    ]


class Scene:
    """A raster to read.

    Args:
        path: A file, or any name that GDAL opens.

    Raises:
        AWSBatchException: It cannot be opened, or has no bands of real numbers.
    """

    def __init__(self, path: Path | str) -> None:
        self._gdal = load_gdal()
        self.path = path
        try:
            self.dataset = self._gdal.Open(os.fspath(path))
        except RuntimeError as error:
            raise AWSBatchException(f"{path} cannot be opened as a raster: {error}") from error
        self.width: int = self.dataset.RasterXSize
        self.height: int = self.dataset.RasterYSize
        numbers = range(1, self.dataset.RasterCount + 1)
        self.bands: list[int] = [number for number in numbers if not self._is_alpha(number)]
        if not self.bands:
            parts = self.dataset.GetSubDatasets()
            remedy = (
                f"give one of its parts, such as {parts[0][0]}"
                if parts
                else "give a raster that has some"
            )
            raise AWSBatchException(f"{path} has no bands to compute with; {remedy}.")
        if any(self._gdal.DataTypeIsComplex(self._band(number).DataType) for number in self.bands):
            raise AWSBatchException(
                f"{path} has bands of complex numbers; give a raster of real ones."
            )

    def _band(self, number: int) -> Any:
        return self.dataset.GetRasterBand(number)

    def _is_alpha(self, number: int) -> bool:
        return bool(self._band(number).GetColorInterpretation() == self._gdal.GCI_AlphaBand)

    def read(self, window: Window, bands: list[int]) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Return the pixels (bands, rows, columns) and where all these bands are valid (rows, columns)."""
        try:
            pixels = np.stack([self._band(number).ReadAsArray(*window.extent) for number in bands])
            valid = np.ones(pixels.shape[1:], dtype=np.bool_)
            for band in map(self._band, bands):
                if band.GetMaskFlags() != self._gdal.GMF_ALL_VALID:
                    valid &= band.GetMaskBand().ReadAsArray(*window.extent) != 0
        except RuntimeError as error:
            place = f"block ({window.xblock}, {window.yblock})"
            raise AWSBatchException(f"{self.path} cannot be read at {place}: {error}") from error
        return pixels, valid

    def describe(self, number: int) -> str:
        """Return a band's description, or its number."""
        return self._band(number).GetDescription() or f"band {number}"

    def red_and_near_infrared(self) -> tuple[int, int] | None:
        """Return the numbers of these two bands, found by wavelength, description, or colour interpretation."""
        red = next((number for number in self.bands if self._shows(number, "red", RED_UM)), None)
        infrared = next(
            (number for number in self.bands if self._shows(number, "nir", NEAR_INFRARED_UM)), None
        )
        return None if red is None or infrared is None else (red, infrared)

    def _shows(self, number: int, colour: str, limits: tuple[float, float]) -> bool:
        wavelength = self._wavelength(number)
        if wavelength is not None:
            return limits[0] <= wavelength <= limits[1]
        text = re.sub(r"[\s_-]+", " ", self._band(number).GetDescription().lower())
        names = {"red": r"\bred\b(?! edge)", "nir": r"\b(nir|near ?infra ?red)\b"}
        if re.search(names[colour], text):
            return colour == "nir" or not re.search(names["nir"], text)
        # GDAL knows a colour interpretation for near infrared since 3.10.
        colours = {"red": "GCI_RedBand", "nir": "GCI_NIRBand"}
        interpretation = self._band(number).GetColorInterpretation()
        return bool(interpretation == getattr(self._gdal, colours[colour], None))

    def _wavelength(self, number: int) -> float | None:
        """The centre of a band in micrometres, as ENVI's and GDAL's own metadata give it."""
        band = self._band(number)
        metadata = {key.lower(): value for key, value in band.GetMetadata().items()}
        metadata |= {key.lower(): value for key, value in band.GetMetadata("IMAGERY").items()}
        try:
            value = float(metadata.get("central_wavelength_um") or metadata.get("wavelength") or "")
        except ValueError:
            return None
        nanometres = 100
        return value / 1000 if value > nanometres else value


class IndexFile:
    """A GeoTIFF of one float32 band in the making, on the grid of a scene.

    Args:
        path: Where to write now.
        name: What to call the file when something is wrong with it: where it will be in the end.
        scene: The scene whose size, projection and place it takes over.
        block: The size of the blocks in which it is going to be written.
        description: Of its band.

    Raises:
        AWSBatchException: It cannot be written; from every method.
    """

    def __init__(self, path: Path, name: Path, scene: Scene, block: int, description: str) -> None:
        self._gdal = load_gdal()
        self._path = path
        self._name = name
        self._dataset: Any = None
        with self._writing():
            self._dataset = self._create(scene, block)
            self._locate(scene.dataset)
            self._band = self._dataset.GetRasterBand(1)
            self._band.SetNoDataValue(NODATA)
            self._band.SetDescription(description)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, OSError) as error:
            traceback.clear_frames(
                error.__traceback__
            )  # they hold the dataset, which `close` is to let go
            full = shutil.disk_usage(self._path.parent).free < FULL
            reason = f"the disk is full ({error})" if full else error
            raise AWSBatchException(f"{self._name} cannot be written: {reason}") from error

    def _create(self, scene: Scene, block: int) -> Any:
        # A tile that is written twice is stored twice: tiles are blocks where TIFF allows it.
        tile = block if block % 16 == 0 and block <= 1024 else 256  # noqa: PLR2004 - TIFF's rule, and a usual size
        options = ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=3", "BIGTIFF=IF_SAFER"]
        options += [f"BLOCKXSIZE={tile}", f"BLOCKYSIZE={tile}"]
        driver = self._gdal.GetDriverByName("GTiff")
        return driver.Create(
            os.fspath(self._path), scene.width, scene.height, 1, self._gdal.GDT_Float32, options
        )

    def _locate(self, source: Any) -> None:
        reference = source.GetSpatialRef()
        if reference is not None:
            self._dataset.SetSpatialRef(reference)
        transform = source.GetGeoTransform(can_return_null=True)
        if transform is not None:
            self._dataset.SetGeoTransform(transform)
        elif source.GetGCPCount():
            self._dataset.SetGCPs(source.GetGCPs(), source.GetGCPSpatialRef())
        meaning = source.GetMetadataItem("AREA_OR_POINT")
        if meaning:
            self._dataset.SetMetadataItem("AREA_OR_POINT", meaning)

    def write(self, window: Window, values: npt.NDArray[np.float32]) -> None:
        """Write a block."""
        with self._writing():
            self._band.WriteArray(values, window.left, window.top)

    def finish(self) -> None:
        """Add overviews and statistics, and put everything on disk."""
        with self._writing():
            self._flush()
            # Opened again, because GDAL 3.4 crashes when the disk gets full of overviews of a file just created.
            self._dataset = self._gdal.Open(os.fspath(self._path), self._gdal.GA_Update)
            size = max(self._dataset.RasterXSize, self._dataset.RasterYSize)
            levels = [2**power for power in range(1, 32) if size >> power >= SMALLEST_OVERVIEW]
            if levels:
                self._dataset.BuildOverviews("AVERAGE", levels)
            # Without a single valid pixel there are no statistics.
            with contextlib.suppress(RuntimeError):
                self._dataset.GetRasterBand(1).ComputeStatistics(False)  # noqa: FBT003 - not approximate
            self._flush()

    def _flush(self) -> None:
        self._dataset.FlushCache()
        if errors := self.close():
            raise RuntimeError(errors[0])

    def close(self) -> list[str]:
        """Let go of the file, finished or not, and return the errors of that, which a destructor cannot raise."""
        errors: list[str] = []
        hook = sys.unraisablehook
        sys.unraisablehook = lambda unraisable: errors.append(str(unraisable.exc_value))
        try:
            self._band = self._dataset = None
        finally:
            sys.unraisablehook = hook
        return errors

    def read(self, window: Window | None = None, largest: int = 0) -> npt.NDArray[np.float32]:
        """Return what is on disk after `finish`: a block, or all of it in at most `largest` pixels by overviews."""
        with self._writing():
            dataset = self._gdal.Open(
                os.fspath(self._path)
            )  # a band does not keep its dataset open
            band = dataset.GetRasterBand(1)
            if window:
                return np.asarray(band.ReadAsArray(*window.extent))
            scale = min(1.0, largest / max(band.XSize, band.YSize))
            size = [max(1, round(length * scale)) for length in (band.XSize, band.YSize)]
            return np.asarray(band.ReadAsArray(buf_xsize=size[0], buf_ysize=size[1]))


@contextlib.contextmanager
def replacing(*files: Path) -> Iterator[list[Path]]:
    """Give temporary names for `files` of one folder, and rename them all at the end; on an error leave no trace.

    Raises:
        AWSBatchException: The folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = tempfile.TemporaryDirectory(dir=files[0].parent, prefix=f".{files[0].stem}-")
            written = [Path(stack.enter_context(folder), file.name) for file in files]
        except OSError as error:
            raise AWSBatchException(
                f"{files[0]} cannot be written: {error.strerror or error}"
            ) from error
        yield written
        for source, target in zip(written, files, strict=True):
            try:
                source.replace(target)
            except OSError as error:
                raise AWSBatchException(
                    f"{target} cannot be written: {error.strerror or error}"
                ) from error
            for sidecar in SIDECARS:
                # They described the file that was there before.
                Path(f"{target}{sidecar}").unlink(missing_ok=True)
