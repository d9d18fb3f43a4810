"""Users' functions. Workers cannot import this module, so they are pickled by value."""

import os
import sys
import types
from pathlib import Path

import cloudpickle
import numpy as np

cloudpickle.register_pickle_by_value(sys.modules[__name__])

_BUFFERS: dict[tuple[int, ...], np.ndarray] = {}


def add_bands(info, inputs, outputs):
    total = inputs.img.astype(np.float32).sum(axis=0)
    outputs.out = total[np.newaxis] / 7


def add_bands_whole(info, inputs, outputs):
    outputs.out = inputs.img.sum(axis=0, dtype=np.int32)[np.newaxis]


def double_in_one_buffer(info, inputs, outputs):
    """Compute all blocks of one shape in the same array."""
    shape = inputs.img.shape
    buffer = _BUFFERS.setdefault(shape, np.zeros(shape, np.float64))
    np.multiply(inputs.img, 2.0, out=buffer)
    outputs.out = buffer


def say_who(info, inputs, outputs):
    """Write the id of the computing process into every pixel."""
    outputs.out = np.full((1, *inputs.img.shape[1:]), os.getpid(), np.int32)


SEEN = []


def count_seen(info, inputs, outputs, otherargs):
    """Write how many blocks this function's global has seen; main, which is told, writes -1."""
    seen = -1
    if os.getpid() != otherargs.main:
        seen = len(SEEN)
        SEEN.append(info.getBlockCount())
    outputs.out = np.full((1, *inputs.img.shape[1:]), seen, np.int32)


def about_numpy(info, inputs, outputs):
    """Write whether numpy raises an error for a division by zero."""
    raises = np.geterr()["divide"] == "raise"
    outputs.out = np.full((1, *inputs.img.shape[1:]), raises, np.int32)


def about_gdal(info, inputs, outputs):
    """Write whether GDAL's modules raise exceptions, and an option."""
    from osgeo import gdal, ogr, osr  # noqa: PLC0415 - where there is a GDAL

    known = [module.GetUseExceptions() for module in (gdal, ogr, osr)]
    known.append(int(gdal.GetConfigOption("GDAL_NUM_THREADS", "0")))
    outputs.out = np.array([np.full(inputs.img.shape[1:], one, np.int32) for one in known])


def each_of_a_list(info, inputs, outputs):
    first, second = inputs.many
    outputs.many = [
        (first + second.astype(np.int32)).astype(np.int32),
        (first > second).astype(np.uint8),
    ]


def several_outputs(info, inputs, outputs):
    outputs.ratio = (inputs.img[:1] / (inputs.img[1:2] + np.float32(1))).astype(np.float32)
    outputs.mask = (inputs.img[:1] > 2500).astype(np.uint8)
    outputs.copy = inputs.img[::-1].astype(np.int32)


def within_fields(info, inputs, outputs):
    outputs.out = (inputs.img[:1] * inputs.fields).astype(np.uint32)


def mean_of_neighbours(info, inputs, outputs):
    margin, (_, rows, columns) = info.getOverlapSize(), inputs.img.shape
    padded = np.pad(
        inputs.img.astype(np.float64), ((0, 0), (margin, margin), (margin, margin)), mode="edge"
    )
    width = 2 * margin + 1
    moved = [padded[:, y : y + rows, x : x + columns] for y in range(width) for x in range(width)]
    outputs.out = (sum(moved) / len(moved)).astype(np.float32)


def two_images(info, inputs, outputs):
    outputs.out = (inputs.img[:1].astype(np.float32) * 3 + inputs.second[:1]).astype(np.float32)


def copy_layers(info, inputs, outputs):
    outputs.out = inputs.img + 1


def classify(info, inputs, outputs):
    outputs.out = ((inputs.classes + inputs.img[:1] // 1000) % 9).astype(np.uint8)


def look_up(info, inputs, outputs, otherargs):
    outputs.out = otherargs.table[inputs.img[:1] % len(otherargs.table)] + np.float32(
        otherargs.offset
    )


def about_blocks(info, inputs, outputs):
    """Write everything that a block can be asked for, as pixels."""
    x, y = info.getBlockCoordArrays()
    column, row = info.getBlockCount()
    width, height = info.getBlockSize()
    center = (x[3, 4], y[3, 4])
    single = [
        column,
        row,
        width,
        height,
        info.isFirstBlock(),
        info.isLastBlock(),
        *info.getTotalSize(),
        *info.getTotalBlocks(),
        *info.getWindowSize(),
        *info.getPixelSize(),
        *info.getPixRowColBlock(*center),
        info.getPixColRow(2, 3)[0],
        *info.getTransform(),
        len(info.getProjection()),
        info.getPercent(),
    ]
    planes = [np.full(x.shape, float(value)) for value in single]
    outputs.out = np.array([x, y, *planes])


def about_inputs(info, inputs, outputs):
    """Write what RIOS 2 knows about each input, as pixels."""
    known = [
        (info.getNoDataValueFor(a), Path(info.getFilenameFor(a)).name)
        for a in (inputs.img, inputs.second)
    ]
    shape = inputs.img.shape[1:]
    planes = [
        np.full(shape, float(value))
        for nodata, name in known
        for value in (nodata, sum(map(ord, name)))
    ]
    outputs.out = np.array(planes)


def about_files(info, inputs, outputs):
    """Write what RIOS 1.4 knows about each input and its dataset, as pixels."""
    known = []
    for array in (inputs.img, *inputs.many):
        dataset, band = info.getGDALDatasetFor(array), info.getGDALBandFor(array, 1)
        known += map(ord, Path(info.getFilenameFor(array)).name[-3:])
        known += [dataset.RasterCount, band.XSize, band.YSize, band.GetNoDataValue() is None]
        known.append(band.GetNoDataValue() or 0)
    outputs.out = np.array([np.full(inputs.img.shape[1:], one, np.float64) for one in known])


def read_dataset(info, inputs, outputs):
    outputs.out = inputs.img + info.getGDALDatasetFor(inputs.img).ReadAsArray().sum()


def count_some_pixels(info, inputs, outputs, otherargs):
    """Same as count_pixels(), but change the otherargs in one block only."""
    if info.getBlockCount() == otherargs.where:
        otherargs.pixels += inputs.img[0].size
    outputs.out = inputs.img[:1]


def count_pixels(info, inputs, outputs, otherargs):
    otherargs.pixels += inputs.img[0].size
    otherargs.blocks.append(info.getBlockCount())
    outputs.out = inputs.img[:1]


def count_and_be_killed_once(info, inputs, outputs, otherargs):
    """Same as count_pixels(), but the process of one block is killed once, after counting."""
    count_pixels(info, inputs, outputs, otherargs)
    if info.getBlockCount() == (1, 1):
        try:
            os.close(os.open(f"{otherargs.folder}/killed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), 9)


def load_and_be_killed_once(info, inputs, outputs, otherargs):
    """Same as count_and_be_killed_once(), but load something large first, where it is missing."""
    if otherargs.model is None:
        otherargs.model = np.arange(100_000)
        otherargs.loads.append(os.getpid())
    # numpy 1 and 2 make different types of an array and a scalar of numpy's.
    outputs.out = inputs.img[:1] + otherargs.model[1].astype(inputs.img.dtype)
    count_and_be_killed_once(info, inputs, types.SimpleNamespace(), otherargs)


class BlockError(Exception):
    """The user's own exception, which workers cannot import."""


def fail_everywhere(info, inputs, outputs):
    raise BlockError("every block is bad")


def fail_at(info, inputs, outputs, otherargs):
    outputs.out = inputs.img[:1]
    if info.getBlockCount() == otherargs.where:
        raise BlockError(f"block {otherargs.where} is bad")
