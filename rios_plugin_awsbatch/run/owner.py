"""The process that has a run, and whether it has ended, as far as another one can know.

On the machine where it ran, that is known at once: no process has its id, or one that was started
at another time. Elsewhere, only its silence tells.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["describe_owner", "has_ended"]

_DEAD = ("Z", "X")


def describe_owner() -> dict[str, Any]:
    """Describe this process for `has_ended` and for people; JSON can hold it."""
    pid = os.getpid()
    known: dict[str, Any] = {"host": socket.gethostname(), "pid": pid}
    try:
        return known | {"machine": _machine(), "started": _state_and_start(pid)[1]}
    except (OSError, IndexError):  # not Linux
        return known


def has_ended(owner: Mapping[str, Any]) -> bool:
    """Return whether a process is known to have ended; False if it may be on another machine."""
    pid, started = owner.get("pid"), owner.get("started")
    if not isinstance(pid, int) or pid <= 0 or not isinstance(started, str):
        return False
    try:
        if owner.get("machine") != _machine():
            return False
        os.kill(pid, 0)  # only asks; what others own cannot always be seen in /proc
        state, begun = _state_and_start(pid)
    except ProcessLookupError:
        return True
    except (OSError, IndexError):
        return False
    return state in _DEAD or begun != started


def _machine() -> str:
    """Name the machine since its start, and the container: where process ids are unique."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return the state of a process, and when it was started, in ticks since the machine was."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()  # the program's name, in parentheses, may be anything
    return fields[0], fields[19]
