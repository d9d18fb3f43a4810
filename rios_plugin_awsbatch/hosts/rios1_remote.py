"""A block of RIOS 1.4's on its way: what goes to the worker, and what is called there."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

__all__ = ["BlockFunction", "block_name", "split_job"]


@dataclasses.dataclass(frozen=True)
class BlockFunction:
    """Calls the user's function for a job info, in RIOS's way.

    Attributes:
        func: The user's function.
    """

    func: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Return the outputs for the job info that is the last of `arguments`; otherargs may stand before it."""
        *otherargs, job_info = arguments
        if otherargs:
            job_info.otherargs = otherargs[0]
        params = job_info.getFunctionParams()
        self.func(*params)
        return job_info.getFunctionResult(params)


def split_job(job_info: Any) -> tuple[Any, Any]:
    """Return a job info without its otherargs, which all blocks have in common, and the otherargs, or None."""
    otherargs = getattr(job_info, "otherargs", None)
    if otherargs is None:
        return job_info, None
    rest = copy.copy(job_info)
    rest.otherargs = None
    return rest, otherargs


def block_name(job_info: Any) -> str:
    """Return the block's place in the grid of blocks: "block 3,4" is column 3, row 4, from 0."""
    info = getattr(job_info, "info", None)
    return f"block {getattr(info, 'xblock', '?')},{getattr(info, 'yblock', '?')}"
