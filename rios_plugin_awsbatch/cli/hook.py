"""Which managers RIOS would take: ours, or others of the same name."""

import dataclasses
import importlib
from collections.abc import Iterator
from typing import Final

__all__ = ["AUTOLOAD", "Manager", "managers"]

AUTOLOAD: Final = "RIOS_AWSBATCH_AUTOLOAD"
# RIOS takes the last direct subclass of a base class that has an attribute of the wanted value.
_BASES: Final = (
    ("rios.parallel.jobmanager", "JobManager", "jobMgrType", "AWSBatch"),
    ("rios.computemanager", "ComputeWorkerManager", "computeWorkerKind", "CW_AWSBATCH"),
)


@dataclasses.dataclass(frozen=True)
class Manager:
    """The class that RIOS would take for a kind of manager.

    Attributes:
        kind: What scripts ask for, "AWSBatch" for instance.
        name: The class's name; "nobody" if there is none.
        ours: Whether it is this package's.
    """

    kind: str
    name: str
    ours: bool


def managers() -> Iterator[Manager]:
    """Yield what RIOS would take, for each kind that the installed RIOS has."""
    for module, base, attribute, kind in _BASES:
        try:
            classes = getattr(importlib.import_module(module), base).__subclasses__()
        except ImportError:
            continue  # another generation of RIOS, or none
        known = [one for one in classes if getattr(one, attribute, None) == kind]
        if not known:
            yield Manager(kind, "nobody", ours=False)  # RIOS_AWSBATCH_AUTOLOAD=0
        elif known[-1].__module__.startswith("rios_plugin_awsbatch."):
            yield Manager(kind, known[-1].__qualname__, ours=True)
        else:
            name = f"{known[-1].__module__}.{known[-1].__qualname__}"
            yield Manager(kind, name, ours=False)
