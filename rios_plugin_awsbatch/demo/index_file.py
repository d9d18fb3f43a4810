"""The demo's output: a GeoTIFF, written block by block, that appears complete or not at all."""

import contextlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rios_plugin_awsbatch.errors import AWSBatchException

from .raster import NODATA, Scene, Window, load_gdal

__all__ = ["IndexFile", "replacing"]

SMALLEST_OVERVIEW: Final = 64  # pixels on the longer side
FULL: Final = 100_000  # bytes; with less room, GDAL's errors are due to a full disk
SIDECARS: Final = (".aux.xml", ".ovr", ".msk")
_TILE: Final = 16  # pixels; the sides of tiles are multiples of it
_USUAL_TILE: Final = 256
_LARGEST_TILE: Final = 1024


class IndexFile:
    """A GeoTIFF of one float32 band, on the grid of a scene, while it is written.

    Args:
        path: Where to write it.
        name: Where it will be in the end, for errors.
        scene: Its size, projection and place are those of this scene.
        block: Pixels on each side of the blocks that will be written.
        description: The band's description.

    Raises:
        AWSBatchException: It cannot be written. All methods raise this.
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
            # Frames refer to the dataset, which `close` must be the last to refer to.
            traceback.clear_frames(error.__traceback__)
            full = shutil.disk_usage(self._path.parent).free < FULL
            reason = f"the disk is full ({error})" if full else error
            raise AWSBatchException(f"{self._name} cannot be written: {reason}") from error

    def _create(self, scene: Scene, block: int) -> Any:
        # A tile that is written twice is stored twice, so a block should be a tile.
        tile = block if block % _TILE == 0 and block <= _LARGEST_TILE else _USUAL_TILE
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
        coefficients = source.GetMetadata("RPC")
        if coefficients:
            self._dataset.SetMetadata(coefficients, "RPC")
        meaning = source.GetMetadataItem("AREA_OR_POINT")
        if meaning:
            self._dataset.SetMetadataItem("AREA_OR_POINT", meaning)

    def write(self, window: Window, values: npt.NDArray[np.float32]) -> None:
        """Write a block (rows, columns)."""
        with self._writing():
            self._band.WriteArray(values, window.left, window.top)

    def finish(self) -> None:
        """Add overviews and statistics, and write everything to disk."""
        with self._writing():
            self._flush()
            # Open it again: GDAL 3.4 crashes if overviews of a new file fill the disk.
            self._dataset = self._gdal.Open(os.fspath(self._path), self._gdal.GA_Update)
            size = max(self._dataset.RasterXSize, self._dataset.RasterYSize)
            levels = [2**power for power in range(1, 32) if size >> power >= SMALLEST_OVERVIEW]
            if levels:
                self._dataset.BuildOverviews("AVERAGE", levels)
            # GDAL raises if there is no valid pixel.
            with contextlib.suppress(RuntimeError):
                self._dataset.GetRasterBand(1).ComputeStatistics(False)  # noqa: FBT003 - not approximate
            self._flush()

    def _flush(self) -> None:
        self._dataset.FlushCache()
        if errors := self.close():
            raise RuntimeError(errors[0])

    def close(self) -> list[str]:
        """Close the file, finished or not.

        Returns:
            The errors. GDAL closes a file in a destructor, which cannot raise them.
        """
        errors: list[str] = []
        hook = sys.unraisablehook
        sys.unraisablehook = lambda unraisable: errors.append(str(unraisable.exc_value))
        try:
            self._band = self._dataset = None
        finally:
            sys.unraisablehook = hook
        return errors

    def read(self, window: Window | None = None, largest: int = 0) -> npt.NDArray[np.float32]:
        """Read the file, after `finish`.

        Args:
            window: Which block; all of it if None.
            largest: Pixels on the longer side, to which all of it is reduced if it has more.

        Returns:
            The index (rows, columns).
        """
        with self._writing():
            # Keep the dataset in a variable: a band does not keep it open.
            dataset = self._gdal.Open(os.fspath(self._path))
            band = dataset.GetRasterBand(1)
            if window:
                return np.asarray(band.ReadAsArray(*window.extent))
            scale = min(1.0, largest / max(band.XSize, band.YSize))
            size = [max(1, round(length * scale)) for length in (band.XSize, band.YSize)]
            return np.asarray(band.ReadAsArray(buf_xsize=size[0], buf_ysize=size[1]))


@contextlib.contextmanager
def replacing(*files: Path) -> Iterator[list[Path]]:
    """Write files under temporary names, which become their own names at the end.

    If the block raises, the files that were there before stay, and no new ones appear.

    Args:
        files: The files, all in one folder.

    Yields:
        The temporary names, in the same order.

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
                # They belong to the file that was there before.
                Path(f"{target}{sidecar}").unlink(missing_ok=True)
