"""The processes of jobs: started, copied to the log, stopped, and cleaned up after."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from rios_plugin_awsbatch.programs import exit_status

__all__ = ["JobProcess"]

# A process that left the session may hold the pipe open for ever.
_LAST_OUTPUT_SECONDS: Final = 1.0


class JobProcess:
    """The process of one attempt, with a session of its own.

    Args:
        command: The command.
        environment: All of its environment.
        folder: Where it runs.

    Raises:
        OSError: It cannot be started.
        ValueError: Its command or environment is not valid.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - running what was submitted is the purpose
            command,
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
        self._process.terminate()
        killer = threading.Timer(grace, self._kill_if_running)
        killer.name = f"kill-{self._process.pid}"
        killer.daemon = True
        killer.start()

    def _kill_if_running(self) -> None:
        if self._process.poll() is None:
            self._kill_session()

    def _kill_session(self) -> None:
        # On macOS, a group that has only zombies is "not permitted" rather than "not found".
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _copy(output: IO[bytes], write: Callable[[str], None]) -> None:
    with output:
        for line in output:
            write(line.decode(errors="replace").rstrip("\r\n"))
