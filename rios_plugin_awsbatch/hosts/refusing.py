"""What RIOS finds in a worker in place of its managers and ours for AWS Batch: they refuse.

RIOS's own ones would start Batch jobs from within a worker.
"""

from types import ModuleType
from typing import Any

from rios_plugin_awsbatch.nesting import refuse_in_worker

__all__ = ["refuse_managers"]


class _Refusing:
    jobMgrType = "AWSBatch"
    computeWorkerKind = "CW_AWSBATCH"

    def __init__(self, *_given: Any, **_named: Any) -> None:
        refuse_in_worker()


def refuse_managers(module: ModuleType) -> None:
    """Have RIOS refuse what a function asks of AWS Batch in a worker.

    Args:
        module: A module of RIOS that has just been imported, with the base class of its managers,
            or with RIOS 1.4's own manager.
    """
    if module.__name__ == "rios.parallel.aws.batch":
        module.AWSBatchJobManager.jobMgrType = "AWSBatch of RIOS itself"
        module.AWSBatchJobManager = _Refusing  # type: ignore[attr-defined]  # RIOS's module
        return
    name = "JobManager" if hasattr(module, "JobManager") else "ComputeWorkerManager"
    # RIOS looks among the direct subclasses, and takes the last one.
    module._rios_awsbatch_refusing = type("Refusing", (_Refusing, getattr(module, name)), {})  # type: ignore[attr-defined]  # noqa: SLF001 - keeps the class alive
