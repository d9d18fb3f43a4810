"""The entry points through which managers are found, loaded by pluggy.

Loading is registering: RIOS finds a manager among the subclasses of its base class, so that defining ours is enough.
"""

from typing import Any, Final

import pluggy

__all__ = ["JOB_MANAGERS", "load_plugins"]

JOB_MANAGERS: Final = "rios.jobmanagers"


def load_plugins(group: str = JOB_MANAGERS) -> dict[str, Any]:
    """Load what installed packages offer in an entry-point group.

    Args:
        group: The group; ``rios.jobmanagers`` holds classes like RIOS 1.4's job managers, by their type's name.

    Returns:
        What was loaded, by name; "AWSBatch" is this package's own.
    """
    manager = pluggy.PluginManager(group)
    manager.load_setuptools_entrypoints(group)
    return dict(manager.list_name_plugin())
