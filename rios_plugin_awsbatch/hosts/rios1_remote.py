"""Blocks of RIOS 1.4 in a worker: what main sends, and the callable that computes it there."""

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from rios_plugin_awsbatch.records import measured_block

from .rios_context import ApplyContext

__all__ = ["BlockFunction", "block_name", "split_job"]


@dataclasses.dataclass(frozen=True)
class BlockFunction:
    """Calls the user's function for one job info, as RIOS does.

    Attributes:
        func: The user's function.
        context: The ``apply`` of a task; None in main, which computes in its own state.
    """

    func: Callable[..., Any]
    context: ApplyContext | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Return a block's outputs.

        Args:
            arguments: The job info; the otherargs stand before it if they travel apart from it.
        """
        *otherargs, job_info = arguments
        entered = contextlib.nullcontext() if self.context is None else self.context.entered()
        with entered, measured_block(block_name(job_info)):
            if otherargs:
                job_info.otherargs = otherargs[0]
            params = job_info.getFunctionParams()
            self.func(*params)
            return job_info.getFunctionResult(params)


def split_job(job_info: Any) -> tuple[Any, Any]:
    """Split a job info into one without otherargs and the otherargs, which blocks have in common.

    Returns:
        Both; the otherargs are None if there are none.
    """
    otherargs = getattr(job_info, "otherargs", None)
    if otherargs is None:
        return job_info, None
    rest = copy.copy(job_info)
    rest.otherargs = None
    return rest, otherargs


def block_name(job_info: Any) -> str:
    """Return a block's place in the grid: "block 3,4" is column 3, row 4, counted from 0."""
    info = getattr(job_info, "info", None)
    return f"block {getattr(info, 'xblock', '?')},{getattr(info, 'yblock', '?')}"
