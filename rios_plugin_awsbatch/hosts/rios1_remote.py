"""Blocks of RIOS 1.4 in a worker: what main sends, and the callable that computes it there."""

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from rios_plugin_awsbatch.records import measured_block

from .rios1_inputs import Inputs, restore_inputs
from .rios1_otherargs import Changed, changed_names, digests
from .rios_context import ApplyContext

__all__ = ["BlockFunction", "block_name", "split_job"]


@dataclasses.dataclass(frozen=True)
class BlockFunction:
    """Calls the user's function for one job info, as RIOS does.

    Attributes:
        func: The user's function.
        context: The ``apply`` of a task; None in main, which computes in its own state.
        inputs: The descriptions of the inputs, for job infos that have been pickled.
    """

    func: Callable[..., Any]
    context: ApplyContext | None = None
    inputs: Inputs = dataclasses.field(default_factory=dict)

    def __call__(self, *arguments: Any, watched: bool = False) -> Any:
        """Return a block's outputs.

        Args:
            arguments: The job info; the otherargs stand before it if they travel apart from it.
            watched: Whether to return `Changed` outputs if the function changes the otherargs.
        """
        *otherargs, job_info = arguments
        entered = contextlib.nullcontext() if self.context is None else self.context.entered()
        with entered, measured_block(block_name(job_info)):
            if otherargs:
                job_info.otherargs = otherargs[0]
            if self.inputs:
                restore_inputs(job_info, self.inputs)
            before = digests(job_info.otherargs) if watched else {}
            params = job_info.getFunctionParams()
            self.func(*params)
            outputs = job_info.getFunctionResult(params)
            names = changed_names(before, digests(job_info.otherargs)) if before else ()
            return Changed(outputs, names) if names else outputs


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
