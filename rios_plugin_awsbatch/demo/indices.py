"""What workers compute for the demo: functions like those that users write for RIOS.

Workers import this module, and nothing else of the demo, so it needs only numpy.
"""

import dataclasses
import types
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BlockInfo", "BlockJob", "brightness", "ndvi"]


@dataclasses.dataclass(frozen=True)
class BlockInfo:
    """The `info` that the functions get.

    Attributes:
        xblock: The block's column.
        yblock: The block's row.
        nodata: The value for pixels without an index.
    """

    xblock: int
    yblock: int
    nodata: float


@dataclasses.dataclass(frozen=True)
class BlockJob:
    """A block, with the methods that RIOS's job managers call.

    Attributes:
        info: Which block it is.
        inputs: ``scene``, an array of (bands, rows, columns); ``valid``, a boolean array of
            (rows, columns); ``scale`` and ``offset``, arrays of (bands, 1, 1), which make the
            scene's numbers what they mean.
    """

    info: BlockInfo
    inputs: types.SimpleNamespace

    def prepareForPickling(self) -> "BlockJob":
        """Return what is to be pickled: all of it."""
        return self

    def getFunctionParams(self) -> tuple[BlockInfo, types.SimpleNamespace, types.SimpleNamespace]:
        """Return the arguments for the function: info, inputs, and empty outputs."""
        return self.info, self.inputs, types.SimpleNamespace()

    def getFunctionResult(self, params: tuple[Any, ...]) -> npt.NDArray[np.float32]:
        """Return the index (rows, columns) that the function has put into its outputs."""
        index: npt.NDArray[np.float32] = params[2].index
        return index


def ndvi(info: BlockInfo, inputs: types.SimpleNamespace, outputs: types.SimpleNamespace) -> None:
    """Compute the NDVI: (near infrared - red) / (near infrared + red).

    It is up to 1 for leaves, about 0 for soil, and below 0 for water.
    """
    red, infrared = inputs.scene.astype(np.float32) * inputs.scale + inputs.offset
    total = infrared + red
    valid = inputs.valid & (total != 0)
    index = np.divide(infrared - red, total, out=np.zeros_like(total), where=valid)
    outputs.index = np.where(valid & np.isfinite(index), index, np.float32(info.nodata))


def brightness(
    info: BlockInfo, inputs: types.SimpleNamespace, outputs: types.SimpleNamespace
) -> None:
    """Compute the mean of all bands, for scenes without red and near infrared.

    It is the mean of the numbers as they are stored.
    """
    index = inputs.scene.mean(axis=0, dtype=np.float64).astype(np.float32)
    outputs.index = np.where(inputs.valid & np.isfinite(index), index, np.float32(info.nodata))
