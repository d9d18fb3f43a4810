"""NDVI on AWS Batch, without RIOS.

Try it on the embedded AWS: rios-awsbatch local -- python ndvi_executor.py SCENE.tif NDVI.tif
"""

import sys

import numpy as np
from osgeo import gdal

from rios_plugin_awsbatch import BatchExecutor

BLOCK = 128
gdal.UseExceptions()


def ndvi(block):
    """Return the NDVI of a block of (bands, rows, columns)."""
    red, infrared = block[2].astype("float32"), block[3].astype("float32")
    return (infrared - red) / np.maximum(infrared + red, 1)


def main():
    scene = gdal.Open(sys.argv[1])
    width, height = scene.RasterXSize, scene.RasterYSize
    output = gdal.GetDriverByName("GTiff").Create(
        sys.argv[2], width, height, 1, gdal.GDT_Float32, ["TILED=YES"]
    )
    output.SetProjection(scene.GetProjection())
    output.SetGeoTransform(scene.GetGeoTransform())

    corners = [(left, top) for top in range(0, height, BLOCK) for left in range(0, width, BLOCK)]
    blocks = (
        scene.ReadAsArray(left, top, min(BLOCK, width - left), min(BLOCK, height - top))
        for left, top in corners
    )
    with BatchExecutor(max_workers=2) as executor:
        # With this buffer, main reads at most eight blocks ahead of what it has written.
        for (left, top), result in zip(
            corners, executor.map(ndvi, blocks, buffersize=8), strict=True
        ):
            output.GetRasterBand(1).WriteArray(result, left, top)
    output.FlushCache()


if __name__ == "__main__":
    main()
