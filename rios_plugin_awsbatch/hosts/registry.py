"""Managers that installed packages offer, as entry points loaded by pluggy.

There are no hooks here: RIOS finds a manager among the subclasses of its base class, so loading the
module that defines it is all that registering takes.
"""

import importlib.metadata
import sys
import warnings
from typing import Any, Final

import pluggy

__all__ = ["JOB_MANAGERS", "load_plugins"]

JOB_MANAGERS: Final = "rios.jobmanagers"


def load_plugins(group: str = JOB_MANAGERS) -> dict[str, Any]:
    """Load the entry points of a group; one that cannot be loaded is a warning.

    Args:
        group: ``rios.jobmanagers`` for job managers of RIOS 1.4, by type, or
            ``rios.computeworkers`` for compute-worker managers of RIOS 2, by kind.

    Returns:
        What was loaded, by name. This package's own is "AWSBatch" or "CW_AWSBATCH".
    """
    plugins = pluggy.PluginManager(group)
    for entry in importlib.metadata.entry_points(group=group):
        if _being_imported(entry):
            continue
        try:  # one by one: pluggy itself stops at the first that cannot be loaded
            plugins.load_setuptools_entrypoints(group, entry.name)
        except Exception as error:  # noqa: BLE001 - the others work without it
            warnings.warn(
                f"{entry.value} of entry-point group {group} could not be loaded: {error}",
                stacklevel=2,
            )
    return dict(plugins.list_name_plugin())


def _being_imported(entry: importlib.metadata.EntryPoint) -> bool:
    """Return whether a manager is being imported already: its own import of RIOS calls the hook."""
    module = sys.modules.get(entry.module)
    return module is not None and not hasattr(module, entry.attr.partition(".")[0])
