"""PID namespaces, in which a job's command is process 1, as it is in a container."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["child_of", "pid_namespace"]

_NAMESPACE: Final = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
# Root makes one at once; others first become root of a user namespace, if the kernel lets them.
_CANDIDATES: Final = (_NAMESPACE, (*_NAMESPACE, "--user", "--map-root-user"))


@functools.cache
def pid_namespace() -> tuple[str, ...]:
    """Return what to put before a command, so that it is process 1; empty if that cannot be had.

    It needs util-linux's ``unshare``, and Linux to let this user make namespaces.
    """
    if shutil.which("unshare") is None or not Path("/proc/self/task").exists():
        return ()
    for candidate in _CANDIDATES:
        tried = subprocess.run(  # noqa: S603 - from the list above
            [*candidate, "true"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return candidate
    return ()


def child_of(pid: int) -> int | None:
    """Return the first child of a process with one thread; None if it has none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None
