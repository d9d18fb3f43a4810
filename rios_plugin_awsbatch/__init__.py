"""RIOS blocks on AWS Batch workers.

The way of a block::

    main process                          AWS                       worker container
    ------------                          ---                       ----------------
    script, or RIOS 1.4 or 2
         |
    hosts: executor, rios1, rios2
         |
    run: pickle, authenticate
      sender ----- large arguments -----> S3  runs/<run id>/ --.
         '-------- task message --------> SQS tasks -----------+--> fetcher: receive, verify
                                                                      |
                                                                    compute process: call
                                                                      |
      receiver <--- large result -------- S3 <-----------------.    replier: send the result, then
    future <------- result message ------ SQS results <--------+------'  delete the task message

                                          Batch: one array job of N workers

A run owns two queues, a prefix in the bucket and a Batch job, and deletes them when it ends. Every
message and payload is authenticated with the run's key before it is unpickled.

Importing this package reads no environment, opens no connection and costs little: public names are
loaded on first use. It has one side effect: it installs the import hook through which RIOS finds
this package, as the wheel's ``.pth`` file does (see `hosts.autoload`).
"""

import importlib
import sys
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

__all__ = [  # noqa: F822, RUF100 - loaded on first use
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
except ModuleNotFoundError:  # the wheel has it beside the package only
    _autoload = importlib.import_module("_rios_plugin_awsbatch_autoload")
    sys.modules[f"{__name__}.hosts.autoload"] = _autoload
_autoload.install()
