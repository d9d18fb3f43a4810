"""What to do when a script asks for workers and there is no AWS for it."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from rios_plugin_awsbatch.errors import StackError

__all__ = ["advise"]


def advise(error: StackError) -> None:
    """Add two lines to an error: how to get a stack, and how to do without AWS.

    Nothing is added in a Batch job, and where an endpoint is set, by the embedded AWS for instance.
    """
    if os.environ.get("AWS_BATCH_JOB_ID") or os.environ.get("AWS_ENDPOINT_URL"):
        return
    create = "If you have no stack yet, create it: rios-awsbatch stack create --wait"
    local = f"To try it on this machine, without AWS: rios-awsbatch local -- {_command()}"
    error.args = (f"{error}\n{create}\n{local}",)


def _command() -> str:
    """Return the command that runs this script or notebook, as its user would type it."""
    if "ipykernel" in sys.modules:
        return "jupyter lab"
    main: Any = sys.modules.get("__main__")
    given = sys.orig_argv[1:]
    ours = bool(given) and Path(given[0]).name.startswith("rios-awsbatch")
    if ours or getattr(main, "__file__", None) is None or given[:1] == ["-c"]:
        return "COMMAND"
    return shlex.join(["python", *given])
