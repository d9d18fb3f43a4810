"""What RIOS finds in a worker in place of its managers and ours for AWS Batch: they refuse.

RIOS's own ones would start Batch jobs from within a worker.
"""

import types
from types import ModuleType
from typing import Any

from rios_plugin_awsbatch.nesting import refuse_in_worker

__all__ = ["refuse_managers"]


class _Refusing:
    jobMgrType = "AWSBatch"
    computeWorkerKind = "CW_AWSBATCH"

    def __init__(self, *_given: Any, **_named: Any) -> None:
        refuse_in_worker()

    def startWorkers(self, **_named: Any) -> None:
        """Part of RIOS 2's contract; there is never an object to call it for."""

    def shutdown(self) -> None:
        """See `startWorkers`."""


def refuse_managers(module: ModuleType) -> None:
    """Have RIOS refuse what a function asks of AWS Batch in a worker.

    Args:
        module: A module of RIOS that has just been imported, with the base class of its managers,
            or with RIOS 1.4's own manager.
    """
    own = getattr(module, "AWSBatchJobManager", None)
    if own is not None:
        own.jobMgrType = "AWSBatch of RIOS itself"  # RIOS takes the last one of a type
        module.AWSBatchJobManager = _Refusing  # type: ignore[attr-defined]  # RIOS's module
        return
    base = getattr(module, "JobManager", None) or module.ComputeWorkerManager
    # RIOS looks among the direct subclasses, and the module keeps this one alive.
    module.RefusingManager = types.new_class("RefusingManager", (_Refusing, base))  # type: ignore[attr-defined]  # as above
