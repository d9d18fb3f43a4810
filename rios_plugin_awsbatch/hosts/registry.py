"""The entry points through which managers are found, loaded by pluggy.

Loading is registering: RIOS finds a manager among the subclasses of its base class, so that defining ours is enough.
"""

import importlib.metadata
import warnings
from typing import Any, Final

import pluggy

__all__ = ["JOB_MANAGERS", "load_plugins", "replace_own_manager"]

JOB_MANAGERS: Final = "rios.jobmanagers"


def load_plugins(group: str = JOB_MANAGERS) -> dict[str, Any]:
    """Load what installed packages offer in an entry-point group.

    Args:
        group: The group: ``rios.jobmanagers`` holds classes like RIOS 1.4's job managers, ``rios.computeworkers`` those
            like RIOS 2's compute-worker managers, by the names of their types and kinds.

    Returns:
        What was loaded, by name; "AWSBatch" is this package's own. One that cannot be loaded is a warning.
    """
    manager = pluggy.PluginManager(group)
    for entry in importlib.metadata.entry_points(group=group):
        try:
            if not manager.has_plugin(entry.name):
                manager.register(entry.load(), entry.name)
        except Exception as error:  # noqa: BLE001 - the others work without it
            warnings.warn(
                f"{entry.value} of entry-point group {group} could not be loaded: {error}",
                stacklevel=2,
            )
    return dict(manager.list_name_plugin())


def replace_own_manager(module: Any) -> None:
    """Let ours stand in the place of RIOS 1.4's own manager of that name.

    RIOS takes the last of its base class's subclasses that has the type asked for, and a script that imports
    ``rios.parallel.aws.batch`` defines RIOS's own one after ours.

    Args:
        module: RIOS's ``rios.parallel.aws.batch``.
    """
    ours = load_plugins(JOB_MANAGERS)["AWSBatch"]
    if module.AWSBatchJobManager is not ours:
        module.AWSBatchJobManager.jobMgrType = "AWSBatch of RIOS itself"
        module.AWSBatchJobManager = ours
