"""A program that masks clouds with python-fmask, in a scene like Sentinel-2's, made here."""

import numpy as np
from fmask import config, fmask

from tests.hosts.support.scene import write_image

ROWS, COLUMNS, PIXEL, WINDOW = 300, 340, 20.0, 128
SUN_ZENITH, SUN_AZIMUTH = np.pi / 4, 7 * np.pi / 4  # in the north-west
SHIFT = 35  # pixels to the south-east: clouds 1000 m above the ground
MASK = "mask.img"

# Reflectances in percent: B01, ..., B08, B8A, B09, ..., B12.
LAND = (8, 6, 8, 7, 12, 22, 26, 28, 29, 10, 0.2, 18, 10)
WATER = (8, 7, 5, 3, 2, 1.6, 1.5, 1.5, 1.4, 1, 0.2, 0.8, 0.4)
SNOW = (70, 71, 70, 68, 67, 66, 66, 65, 64, 30, 0.2, 9, 6)
CLOUD = (51, 50, 49, 48, 49, 50, 51, 52, 52, 30, 0.6, 35, 25)
SHADE = 0.35  # of the light


def make_scene(path):
    """Write fields with a lake, snow, clouds of several sizes and their shadows, and an edge."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[:ROWS, :COLUMNS]

    def disc(row, column, radius):
        return (rows - row) ** 2 + (columns - column) ** 2 < radius**2

    cloud, shadow = np.zeros((2, ROWS, COLUMNS), bool)
    for row, column, radius in [(60, 60, 22), (128, 200, 30), (200, 90, 12), (40, 256, 9)]:
        cloud |= disc(row, column, radius)
        shadow |= disc(row + SHIFT, column + SHIFT, radius)
    field = 1 + 0.1 * ((rows // 40 + columns // 25) % 3)
    light = np.where(shadow, SHADE, 1)
    scene = np.array(LAND)[:, np.newaxis, np.newaxis] * field * light
    for place, kind in [(disc(250, 160, 30), WATER), (disc(240, 280, 25), SNOW), (cloud, CLOUD)]:
        scene[:, place] = np.array(kind)[:, np.newaxis]
    scene *= random.normal(1, 0.02, scene.shape)
    scene[:, columns < 20 - rows // 20] = 0  # the swath ends
    write_image(path, (scene * 100).round().astype(np.uint16), pixel=PIXEL, nodata=0)


def run():
    """Mask the scene; return whether there is a mask."""
    fmask.RIOS_WINDOW_SIZE = WINDOW  # its 512 would make one block of a small scene
    make_scene("scene.tif")
    filenames = config.FmaskFilenames()
    filenames.setTOAReflectanceFile("scene.tif")
    filenames.setOutputCloudMaskFile(MASK)
    settings = config.FmaskConfig(config.FMASK_SENTINEL2)
    settings.setAnglesInfo(config.AngleConstantInfo(SUN_ZENITH, SUN_AZIMUTH, 0.0, 0.0))
    settings.setTempDir(".")
    settings.setTOARefScaling(10000)
    settings.setTOARefOffsetDict(dict.fromkeys(settings.bands, 0))
    settings.setCloudBufferSize(4)
    settings.setShadowBufferSize(4)
    settings.setVerbose(True)
    fmask.doFmask(filenames, settings)
    return True
