"""Tags of what a run makes, by which its cost can be found: the run, the user and the script."""

import getpass
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["labels"]

# What every service takes: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
_OTHER: Final = re.compile(r"[^A-Za-z0-9 _.:/=+@-]")
_CHARACTERS: Final = 128


def labels(*, run_id: str = "", script: str = "") -> dict[str, str]:
    """Return tags; those that are not known are left out.

    Args:
        run_id: The run's id; empty for a main job, which may have several runs.
        script: The script's name, if this process is not the one that runs it.
    """
    values = {
        "rios-run": run_id,
        "rios-user": _user(),
        "rios-script": script or _script(),
        "rios-main-job": os.environ.get("AWS_BATCH_JOB_ID", ""),
    }
    cleaned = {name: _OTHER.sub("_", value)[:_CHARACTERS] for name, value in values.items()}
    return {name: value for name, value in cleaned.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return ""


def _script() -> str:
    if "ipykernel" in sys.modules:
        return "notebook"
    main: Any = sys.modules.get("__main__")
    return Path(getattr(main, "__file__", None) or "").name
