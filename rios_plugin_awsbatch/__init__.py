"""RIOS blocks on AWS Batch workers.

The way of a block::

    main process                                  AWS                            worker container(s)
    ------------                                  ---                            -------------------
    host (RIOS 1.4, 2.x, or a script)
      -> jobmanager, rios2, or executor
        -> run: pickle, authenticate
             large bytes ----------------------> S3  runs/<run>/...  ---------->  fetcher: receive, verify
             task message ---------------------> SQS tasks ------------------->     |
                                                                                 compute process: call
                                                                                    |
        <- inbox: verify, unpickle  <----------- SQS results <------------------- storer: announce the result,
      <- future                        <-------- S3                              then delete the task message
                                                 Batch: one array job of N workers

A run has two queues, a prefix and a job of its own; it takes them down when it ends, last in first out. Every message
and payload is authenticated with the run's key before it is unpickled.

Importing this package reads no environment, opens no connection and costs little: names are loaded when used. It makes
RIOS know this package, as the wheel's ``.pth`` does.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from rios_plugin_awsbatch.hosts.executor import BatchExecutor as BatchExecutor
    from rios_plugin_awsbatch.hosts.rios1 import AWSBatchJobManager as AWSBatchJobManager
    from rios_plugin_awsbatch.stack.outputs import getStackOutputs as getStackOutputs

    from .errors import AWSBatchException as AWSBatchException
    from .settings import Settings as Settings

    REGION: str
    STACK_NAME: str

__all__ = [  # noqa: F822, RUF100 - loaded below, when used
    "REGION",
    "STACK_NAME",
    "AWSBatchException",
    "AWSBatchJobManager",
    "BatchExecutor",
    "Settings",
    "getStackOutputs",
]

_HOMES = {
    "AWSBatchException": "errors",
    "AWSBatchJobManager": "hosts.rios1",
    "BatchExecutor": "hosts.executor",
    "Settings": "settings",
    "getStackOutputs": "stack.outputs",
}
_SETTINGS = {"REGION": "region", "STACK_NAME": "stack"}


def __getattr__(name: str) -> Any:
    """Load a public name; ``REGION`` and ``STACK_NAME`` are read from the environment each time."""
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    if name in _SETTINGS:
        settings = importlib.import_module(".settings", __name__)
        return getattr(settings.load(settings.Settings), _SETTINGS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


try:
    _autoload = importlib.import_module(".hosts.autoload", __name__)
except (
    ModuleNotFoundError
):  # hatchling puts a file into the wheel once: there it stands beside the package
    _autoload = importlib.import_module("_rios_plugin_awsbatch_autoload")
_autoload.install()
