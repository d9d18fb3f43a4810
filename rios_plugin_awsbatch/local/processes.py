"""The processes of jobs: started, copied to the log, stopped, and cleaned up after."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from rios_plugin_awsbatch.programs import exit_status

from .namespaces import child_of, pid_namespace

__all__ = ["JobProcess"]

# A process that left the session may hold the pipe open for ever.
_LAST_OUTPUT_SECONDS: Final = 1.0
_LOOK_AGAIN_SECONDS: Final = 0.01


class JobProcess:
    """The process of one attempt, with a session of its own.

    Args:
        command: The command.
        environment: All of its environment.
        folder: Where it runs.
        first: Whether it is process 1 of a PID namespace of its own, as the command of a container
            without an init process is, where this machine allows that. Then signals that it has no
            handler for do nothing, but SIGKILL, and nobody else waits for orphans.

    Raises:
        OSError: It cannot be started.
        ValueError: Its command or environment is not valid.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        first: bool = False,
    ) -> None:
        prefix = pid_namespace() if first else ()
        self._first = bool(prefix)
        if prefix and shutil.which(command[0], path=environment.get("PATH")) is None:
            raise FileNotFoundError(f"{command[0]}: executable file not found in $PATH")
        self._process = subprocess.Popen(  # noqa: S603 - running what was submitted is the purpose
            [*prefix, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self, write: Callable[[str], None]) -> int:
        """Wait for the end of the process, and kill what it left running.

        Args:
            write: Takes each line that it prints, in another thread.

        Returns:
            Its exit code, as a container's: 128 and the signal's number if a signal ended it.
        """
        assert self._process.stdout is not None
        reader = threading.Thread(
            target=_copy,
            args=[self._process.stdout, write],
            name=f"output-{self._process.pid}",
            daemon=True,
        )
        reader.start()
        code = self._process.wait()
        self._kill_session()
        reader.join(_LAST_OUTPUT_SECONDS)
        return exit_status(code)

    def stop(self, grace: float) -> None:
        """Send SIGTERM to the process, and SIGKILL after some seconds to all of its session."""
        threading.Thread(
            target=self._stop, args=[grace], name=f"stop-{self._process.pid}", daemon=True
        ).start()

    def kill(self) -> None:
        """Send SIGKILL to all of its session."""
        if self._process.poll() is None:
            self._kill_session()

    def _stop(self, grace: float) -> None:
        deadline = time.monotonic() + grace
        while self._process.poll() is None and not self._terminate():
            time.sleep(_LOOK_AGAIN_SECONDS)  # it is about to start
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(deadline - time.monotonic(), 0.0))
        self.kill()

    def _terminate(self) -> bool:
        """Send SIGTERM to the process, and say whether there is one."""
        if not self._first:
            self._process.terminate()
            return True
        pid = child_of(self._process.pid)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return True

    def _kill_session(self) -> None:
        # On macOS, a group that has only zombies is "not permitted" rather than "not found".
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _copy(output: IO[bytes], write: Callable[[str], None]) -> None:
    with output:
        for line in output:
            write(line.decode(errors="replace").rstrip("\r\n"))
