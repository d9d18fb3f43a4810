"""What the demo computes in workers: functions in the shape that users know from RIOS, and the block they get.

Workers import this module and nothing else of the demo, so it needs numpy alone.
"""

import dataclasses
import types
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BlockInfo", "BlockJob", "brightness", "ndvi"]


@dataclasses.dataclass(frozen=True)
class BlockInfo:
    """Which block it is, and what to put where there is no data; the `info` of the user's function."""

    xblock: int
    yblock: int
    nodata: float


@dataclasses.dataclass(frozen=True)
class BlockJob:
    """A block on its way to a worker, as RIOS's job managers expect it.

    Attributes:
        info: Which block it is.
        inputs: `scene`, an array (bands, rows, columns), and `valid`, an array (rows, columns) of booleans.
    """

    info: BlockInfo
    inputs: types.SimpleNamespace

    def prepareForPickling(self) -> "BlockJob":
        """Return what is to be sent."""
        return self

    def getFunctionParams(self) -> tuple[BlockInfo, types.SimpleNamespace, types.SimpleNamespace]:
        """Return the arguments of the user's function."""
        return self.info, self.inputs, types.SimpleNamespace()

    def getFunctionResult(self, params: tuple[Any, ...]) -> npt.NDArray[np.float32]:
        """Return what the user's function has put into its outputs."""
        index: npt.NDArray[np.float32] = params[2].index
        return index


def ndvi(info: BlockInfo, inputs: types.SimpleNamespace, outputs: types.SimpleNamespace) -> None:
    """The difference of near infrared and red by their sum: up to 1 for leaves, about 0 for soil, below for water."""
    red, infrared = inputs.scene.astype(np.float32)
    total = infrared + red
    valid = inputs.valid & (total != 0)
    index = np.divide(infrared - red, total, out=np.zeros_like(total), where=valid)
    outputs.index = np.where(valid & np.isfinite(index), index, np.float32(info.nodata))


def brightness(
    info: BlockInfo, inputs: types.SimpleNamespace, outputs: types.SimpleNamespace
) -> None:
    """The mean of all bands, for scenes without red and near infrared."""
    index = inputs.scene.mean(axis=0, dtype=np.float64).astype(np.float32)
    outputs.index = np.where(inputs.valid & np.isfinite(index), index, np.float32(info.nodata))
