"""The worker's end of the compute process: starts it, asks it, and says how it died."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from rios_plugin_awsbatch.settings import WorkerSettings, variables
from rios_plugin_awsbatch.wire.messages import Payload, Task
from rios_plugin_awsbatch.wire.compression import Compression

from .compute import FUNCTIONS_KEPT, SHARED_KEPT, Call, Raised, Recent

__all__ = ["ComputeProcess"]

_CODE = "from rios_plugin_awsbatch.worker.compute import main; main()"
_LOOK_SECONDS = 1.0


def _environment() -> dict[str, str]:
    """Return the environment of the user's code: without the run's key, which it could print into the log."""
    (key, *_) = variables(WorkerSettings)["run_key"]
    # Where blocks are computed, RIOS needs no managers, and importing ours takes half a second.
    return {
        **{name: value for name, value in os.environ.items() if name != key},
        "RIOS_AWSBATCH_AUTOLOAD": "0",
    }


class ComputeProcess:
    """The process that calls the user's functions; a new one takes its place when it dies.

    Start it from the main thread: Linux ends it with the thread that started it (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._functions: Recent[None] = Recent(FUNCTIONS_KEPT)
        self._shared: Recent[None] = Recent(SHARED_KEPT)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [sys.executable, "-c", _CODE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=_environment(),
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())

    def call(
        self,
        task: Task,
        arguments: bytes,
        unpack: Callable[[Payload], bytes],
        compression: Compression,
    ) -> bytes | Raised:
        """Have a task computed.

        Args:
            task: The task.
            arguments: The bytes of its arguments.
            unpack: Returns the bytes of a payload that the process does not hold yet.
            compression: For the result.

        Returns:
            The pickled result, or what was raised.

        Raises:
            EOFError: The process died; `replace` says how.
            Exception: Whatever `unpack` raises.
        """
        wanted = [(self._shared, task.shared), (self._functions, task.function)]
        new = {p.mac: unpack(p) for recent, p in wanted if p is not None and p.mac not in recent}
        for recent, payload in wanted:
            if payload is not None:
                recent.touch(payload.mac, lambda: None)
        shared = task.shared.mac if task.shared else None
        try:
            self._connection.send(
                Call(task.name, task.function.mac, shared, new, arguments, compression)
            )
            self._wait_for_reply()
            reply: bytes | Raised = self._connection.recv()
        except OSError as error:
            raise EOFError from error
        return reply

    def _wait_for_reply(self) -> None:
        # A process that the function has started may hold the other end open after the compute process has died.
        while not self._connection.poll(_LOOK_SECONDS):
            if self._process.poll() is not None and not self._connection.poll(0):
                raise EOFError

    def replace(self) -> str:
        """Start another process in the place of one that died, and say how it died."""
        self._connection.close()
        code = self._process.wait()
        self._start()
        if code == -signal.SIGKILL:
            return "was killed (SIGKILL), most likely because it ran out of memory"
        if code < 0:
            return f"crashed ({signal.Signals(-code).name})"
        return f"left Python with exit code {code}"

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
