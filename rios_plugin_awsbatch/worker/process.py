"""The worker's end of the process that computes: starts it, calls it, and says how it died."""

import dataclasses
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from rios_plugin_awsbatch.errors import ModulesError
from rios_plugin_awsbatch.records import Versions
from rios_plugin_awsbatch.settings import WorkerSettings, variables
from rios_plugin_awsbatch.wire.messages import Payload, Task

from .calls import Call, Content, Kept, Raised, Returned
from .runtimes import NO_RUNTIME, Runtime
from .stacks import Stacks, read_stacks

__all__ = ["ComputeProcess", "Death"]

FUNCTIONS_KEPT: Final = 8
SHARED_KEPT: Final = 2
_CODE: Final = "from rios_plugin_awsbatch.worker.compute import main; main()"
_LOOK_SECONDS: Final = 1.0


def _environment(runtime: Runtime, temporary: str) -> dict[str, str]:
    """Return the environment of the user's code."""
    # Without the run's key, which the code could print into the log.
    (key, *_) = variables(WorkerSettings)["run_key"]
    own = {name: value for name, value in os.environ.items() if name != key}
    given = dict(runtime.variables)
    if "PYTHONPATH" in own and "PYTHONPATH" in given:  # a submission's files are on it
        given["PYTHONPATH"] += os.pathsep + own["PYTHONPATH"]
    return {**own, "TMPDIR": temporary, **given}


@dataclasses.dataclass(frozen=True)
class Death:
    """How a process died.

    Attributes:
        returncode: As `subprocess` has it, negative after a signal.
        overdue: Where it stood when its time was over; None if it was not.
    """

    returncode: int
    overdue: Stacks | None = None

    @property
    def killed(self) -> bool:
        """Whether something killed it: mostly the kernel, when memory has run out."""
        return self.returncode == -signal.SIGKILL and self.overdue is None

    def __str__(self) -> str:
        if self.overdue is not None:
            place = f"; it stood in {self.overdue.place}" if self.overdue.place else ""
            return f"took longer than it may (RIOS_AWSBATCH_TASK_TIMEOUT), and was ended{place}"
        if self.killed:
            return "was killed (SIGKILL), most likely because it ran out of memory"
        if self.returncode < 0:
            return f"crashed ({signal.Signals(-self.returncode).name})"
        return f"left Python with exit code {self.returncode}"


class ComputeProcess:
    """The process that calls the user's functions; a new one takes its place when it dies.

    All methods but `kill` are the main thread's. Linux ends the process with the thread that
    started it (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self) -> None:
        self._runtime = NO_RUNTIME
        self._killed = False
        self._start()

    @property
    def _stacks_file(self) -> str:
        return os.path.join(self._temporary.name, "stacks")  # noqa: PTH118 - for another process

    def _start(self) -> None:
        self._functions = Kept(FUNCTIONS_KEPT)
        self._shared = Kept(SHARED_KEPT)
        self._called = False
        self._overdue: Stacks | None = None
        # What it leaves there when it is killed goes with it.
        self._temporary = tempfile.TemporaryDirectory(
            prefix="rios-awsbatch-", ignore_cleanup_errors=True
        )
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [sys.executable, "-c", _CODE, str(theirs.fileno()), self._stacks_file],
                pass_fds=[theirs.fileno()],
                env=_environment(self._runtime, self._temporary.name),
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._versions: Versions | None = None

    def versions(self) -> Versions:
        """Wait until the process has started; return what it says that it runs on.

        It may import other versions than the worker: those of a submission's requirements.

        Raises:
            EOFError: The process has died; `replace` or `reap` says how.
        """
        if self._versions is None:
            self._versions = self._received()
        return self._versions

    def call(
        self,
        task: Task,
        arguments: bytes,
        attempt: int,
        unpack: Callable[[Payload], bytes],
        settings: WorkerSettings,
    ) -> Returned | Raised:
        """Have a task computed.

        Args:
            task: The task.
            arguments: The bytes of its arguments.
            attempt: The number of this attempt at it, from 1.
            unpack: Returns the bytes of a payload that the process does not hold yet.
            settings: Say how to compress the result, and how long the task may take.

        Returns:
            The pickled result, or what was raised.

        Raises:
            EOFError: The process has died, or was ended as its time was over; `replace` says how.
            Exception: Whatever `unpack` raises.
        """
        self._enter(task.runtime, unpack)
        self.versions()
        contents = [(self._shared, task.shared), (self._functions, task.function)]
        new = {
            payload.mac: unpack(payload)
            for kept, payload in contents
            if payload is not None and payload.mac not in kept
        }
        shared, function = (
            None if payload is None else kept.use(payload.mac, new.get(payload.mac))
            for kept, payload in contents
        )
        assert isinstance(function, Content)
        try:
            modules = self._runtime.modules
            call = Call(
                task.name, function, shared, arguments, attempt, settings.compression, modules
            )
            self._called = True
            self._connection.send(call)
        except OSError as error:
            raise EOFError from error
        reply: Returned | Raised = self._received(settings.task_timeout)
        return reply

    def _received(self, timeout: float | None = None) -> Any:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        try:
            # A process that the function started may hold the other end open after this one's
            # death.
            while not self._connection.poll(
                min(_LOOK_SECONDS, max(deadline - time.monotonic(), 0))
            ):
                if self._process.poll() is not None and not self._connection.poll(0):
                    raise EOFError
                if time.monotonic() >= deadline:
                    self._overdue = read_stacks(self._process.pid, self._stacks_file)
                    self._process.kill()
                    raise EOFError
            return self._connection.recv()
        except OSError as error:
            raise EOFError from error

    def _enter(self, payload: Payload | None, unpack: Callable[[Payload], bytes]) -> None:
        """Have the process be one with this runtime: what is imported already would stay."""
        if (payload.mac if payload else "") == self._runtime.name:
            return
        runtime = Runtime(payload.mac, unpack(payload)) if payload else NO_RUNTIME
        before, self._runtime = self._runtime, runtime
        try:
            if self._called or runtime.variables or before.variables:
                self._restart()
        except OSError as error:
            self._runtime = NO_RUNTIME
            runtime.close()
            self._start()
            raise ModulesError(
                "The process that computes cannot be started with the variables that main has "
                f"sent (RIOS_AWSBATCH_ENV): {error.strerror}. Send fewer, or shorter ones."
            ) from error
        finally:
            before.close()

    def _restart(self) -> None:
        self._process.kill()
        self.replace()
        if self._killed:  # meanwhile: the new process is not to begin anything
            self._process.kill()

    def replace(self) -> Death:
        """Start another process in place of one that has died; return how it died."""
        death = self.reap()
        self._start()
        return death

    def reap(self) -> Death:
        """Return how the process died."""
        self._connection.close()
        code = self._process.wait()
        self._temporary.cleanup()
        return Death(code, self._overdue)

    def kill(self) -> None:
        """End the process now, and any that takes its place before the next call is made.

        `call`, which may be waiting for it, raises EOFError.
        """
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        self._process.kill()
        self.reap()
        self._runtime.close()
