"""The demo's input: a scene that GDAL reads block by block.

Only `load_gdal` imports GDAL, when a raster is opened, because the package works without it. Every
error of GDAL's becomes one sentence that names the file.
"""

import dataclasses
import math
import os
import re
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from rios_plugin_awsbatch.errors import AWSBatchException

__all__ = ["NODATA", "Scene", "Window", "load_gdal", "windows"]

NODATA: Final = -9999.0
RED: Final = (0.62, 0.70)  # micrometres
NEAR_INFRARED: Final = (0.75, 0.95)  # micrometres

Pixels: TypeAlias = npt.NDArray[Any]


def load_gdal() -> Any:
    """Return the module `osgeo.gdal`, set up to raise exceptions.

    Raises:
        AWSBatchException: GDAL's Python bindings are not installed, or lack the part for numpy.
    """
    try:
        from osgeo import gdal, gdal_array  # noqa: F401, PLC0415 - GDAL is no hard dependency
    except ImportError as error:
        raise AWSBatchException(
            f"GDAL's Python bindings cannot be imported ({error}); install those of your libgdal: "
            "pip install numpy setuptools && "
            'pip install --no-build-isolation "gdal==$(gdal-config --version)"'
        ) from error
    gdal.UseExceptions()
    return gdal


@dataclasses.dataclass(frozen=True)
class Window:
    """The place of a block in a raster.

    Attributes:
        xblock: Its column among the blocks.
        yblock: Its row among the blocks.
        left: The first column of its pixels.
        top: The first row of its pixels.
        width: Its columns of pixels.
        height: Its rows of pixels.
    """

    xblock: int
    yblock: int
    left: int
    top: int
    width: int
    height: int

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """Left, top, width and height, as GDAL takes them."""
        return self.left, self.top, self.width, self.height


def windows(width: int, height: int, block: int) -> list[Window]:
    """Cut a raster into blocks, row by row.

    Args:
        width: The raster's columns.
        height: The raster's rows.
        block: Pixels on each side of a block; those at the right and lower edges may be smaller.
    """
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

    Attributes:
        path: As given.
        dataset: GDAL's dataset.
        width: Columns of pixels.
        height: Rows of pixels.
        bands: The numbers of its bands, without alpha bands.

    Raises:
        AWSBatchException: It cannot be opened, or has no bands, or bands of complex numbers.
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
        """Read a block.

        Args:
            window: Which.
            bands: The numbers of the bands.

        Returns:
            The pixels (bands, rows, columns), and which of them are valid in all bands
            (rows, columns).

        Raises:
            AWSBatchException: It cannot be read.
        """
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

    def calibration(self, bands: list[int]) -> tuple[Pixels, Pixels]:
        """Return by what to multiply the pixels of bands, and what to add then.

        Both have the shape (bands, 1, 1). Landsat's and Sentinel-2's reflectances, for instance,
        are stored as whole numbers with a scale and an offset.
        """
        scales, offsets = (
            [value if value and math.isfinite(value) else default for value in values]
            for values, default in (
                ([self._band(number).GetScale() for number in bands], 1.0),
                ([self._band(number).GetOffset() for number in bands], 0.0),
            )
        )
        shape = (len(bands), 1, 1)
        return (
            np.array(scales, np.float32).reshape(shape),
            np.array(offsets, np.float32).reshape(shape),
        )

    def describe(self, number: int) -> str:
        """Return a band's description, or its number."""
        return self._band(number).GetDescription() or f"band {number}"

    def red_and_near_infrared(self) -> tuple[int, int] | None:
        """Return the numbers of the red and the near infrared band; None if one is missing.

        They are found by wavelength, else by description, else by colour interpretation.
        """
        red = self._first("red", RED)
        infrared = self._first("nir", NEAR_INFRARED)
        return None if red is None or infrared is None else (red, infrared)

    def _first(self, colour: str, limits: tuple[float, float]) -> int | None:
        return next((number for number in self.bands if self._shows(number, colour, limits)), None)

    def _shows(self, number: int, colour: str, limits: tuple[float, float]) -> bool:
        wavelength = self._wavelength(number)
        if wavelength is not None:
            return limits[0] <= wavelength <= limits[1]
        text = re.sub(r"[\s_-]+", " ", self._band(number).GetDescription().lower())
        names = {"red": r"\bred\b(?! edge)", "nir": r"\b(nir|near ?infra ?red)\b"}
        if re.search(names[colour], text):
            return colour == "nir" or not re.search(names["nir"], text)
        # GDAL has a colour interpretation for near infrared since 3.10.
        colours = {"red": "GCI_RedBand", "nir": "GCI_NIRBand"}
        interpretation = self._band(number).GetColorInterpretation()
        return bool(interpretation == getattr(self._gdal, colours[colour], None))

    def _wavelength(self, number: int) -> float | None:
        """Return the centre of a band in micrometres, from ENVI's or GDAL's own metadata."""
        band = self._band(number)
        metadata = {key.lower(): value for key, value in band.GetMetadata().items()}
        metadata |= {key.lower(): value for key, value in band.GetMetadata("IMAGERY").items()}
        try:
            value = float(metadata.get("central_wavelength_um") or metadata.get("wavelength") or "")
        except ValueError:
            return None
        nanometres = 100
        return value / 1000 if value > nanometres else value
