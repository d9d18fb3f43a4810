"""The demo's picture of an index."""

import struct
import zlib

import numpy as np

from rios_plugin_awsbatch.demo import quicklook
from tests.demo.support import gdal, make, needs_gdal, run


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


class TestPicture:
    """The picture beside the GeoTIFF."""

    pytestmark = needs_gdal

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
