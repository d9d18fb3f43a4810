"""One ``apply`` of RIOS 2, as RIOS hands it to `startWorkers`.

Only this module knows RIOS's keywords. They differ between RIOS 2.0.0, 2.0.9 and the development
branch; those below are in all of them, and any others are ignored.
"""

import dataclasses
import queue
from collections.abc import Callable, Mapping
from typing import Any, Final

from rios_plugin_awsbatch.errors import AWSBatchException

__all__ = ["Apply"]

_KEYWORDS: Final = {  # RIOS's -> the attribute
    "numWorkers": "workers",
    "userFunction": "function",
    "infiles": "infiles",
    "otherArgs": "otherargs",
    "controls": "controls",
    "blockList": "blocks",
    "inBlockBuffer": "inputs",
    "outBlockBuffer": "outputs",
    "workinggrid": "workinggrid",
    "allInfo": "all_info",
    "tmpfileMgr": "temporary_files",
    "exceptionQue": "errors",
}


@dataclasses.dataclass(frozen=True)
class Apply:
    """What there is to compute, and where the results go. RIOS ships no types, hence the Any.

    Attributes:
        workers: How many workers.
        function: The user's function.
        infiles: The names of the input files, an object with an attribute for each.
        otherargs: The script's otherArgs; None if there are none.
        controls: The controls of ``apply``.
        blocks: The blocks, RIOS's ``ApplierBlockDefn``.
        inputs: RIOS's buffer of inputs that its own readers fill; None if RIOS leaves reading to
            us.
        outputs: RIOS's buffer of outputs, from which its main thread writes.
        workinggrid: The grid of the output.
        all_info: RIOS's information about the input files.
        temporary_files: RIOS's manager of temporary files.
        errors: RIOS's queue of errors, which its main thread looks into after each block.
    """

    workers: int
    function: Callable[..., Any]
    infiles: Any
    otherargs: Any
    controls: Any
    blocks: list[Any]
    inputs: Any
    outputs: Any
    workinggrid: Any
    all_info: Any
    temporary_files: Any
    errors: "queue.Queue[Any]"

    @classmethod
    def from_keywords(cls, given: Mapping[str, Any]) -> "Apply":
        """Make it from the keywords of `startWorkers`.

        Raises:
            AWSBatchException: RIOS has not given one of them.
        """
        missing = [name for name in _KEYWORDS if name not in given]
        if missing:
            raise AWSBatchException(
                f"RIOS starts compute workers without {', '.join(missing)}; "
                "this version of rios-plugin-awsbatch does not know this version of RIOS."
            )
        return cls(**{attribute: given[name] for name, attribute in _KEYWORDS.items()})

    @property
    def extra_params(self) -> Any:
        """The script's ``computeWorkerExtraParams``; None if there are none, or RIOS is too old."""
        return getattr(self.controls.concurrency, "computeWorkerExtraParams", None)

    @property
    def read_threads(self) -> int:
        """How many threads read in main, if main reads."""
        return max(1, int(self.controls.concurrency.numReadWorkers))
