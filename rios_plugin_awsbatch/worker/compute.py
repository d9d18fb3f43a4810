"""The process that calls the user's function: one for each worker, beside the worker's own.

The worker keeps talking to AWS while this process computes, whatever the user's code does: hold
the GIL for minutes, crash, be killed for its memory. Calls and replies travel over a socket pair.
"""

import ctypes
import fcntl
import io
import os
import pickle
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from rios_plugin_awsbatch.errors import PicklingError
from rios_plugin_awsbatch.records import BLOCKS_KEPT, BlockRecord, Measured, collected_blocks
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.task_function import TaskContext, TaskFunction, content_name
from rios_plugin_awsbatch.wire.versions import (
    describe_versions,
    find_versions,
    library_versions,
)

from .calls import Cache, Call, Content, Raised, Returned
from .imports import explained_imports
from .stacks import write_stacks_at_signal

__all__ = ["main", "serve"]

# A failure must fit into a message.
TEXT_CHARACTERS: Final = 10_000
TRACEBACK_CHARACTERS: Final = 50_000
NAME_CHARACTERS: Final = 200
_HIGHEST_FILES: Final = 1024
_HIGH_FILES: Final = 8
# Modules of ours that stand between the worker and the user's code.
_OURS: Final = ("rios_plugin_awsbatch.worker.", "rios_plugin_awsbatch.hosts.")


def serve(connection: "Connection[Any, Any]") -> None:
    """Answer calls until the worker closes its end."""
    caller = _Caller()
    own_pid = os.getpid()
    while True:
        try:
            call: Call = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        if call.modules is not None:
            _put_on_path(call.modules)
        reply = caller.reply(call)
        if os.getpid() != own_pid:
            # A child that the function forked: its reply would be taken for the next task's.
            os._exit(0)
        connection.send(reply)


def _put_on_path(folder: str) -> None:
    """Let this process, and the Pythons that it starts, import main's modules first of all."""
    if folder in sys.path:
        return
    sys.path.insert(0, folder)
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, others]))


class _Caller:
    """Makes calls; keeps functions and shared arguments as the worker says."""

    def __init__(self) -> None:
        self._functions = Cache(_LazyFunction)
        self._shared = Cache[bytes](lambda pickled: pickled)

    def reply(self, call: Call) -> Returned | Raised:
        """Make a call; return its outcome and how long it took."""
        contents: dict[str, bytes] = {}
        libraries: set[str] = set()
        with collected_blocks() as blocks:
            begun, start = time.time(), time.perf_counter()
            try:
                outcome: bytes | BaseException = self._result(call, contents, libraries)
            except BaseException as error:  # noqa: BLE001 - whatever the user's code raises
                outcome = error
            timing = _timing(begun, time.perf_counter() - start, blocks)
        if isinstance(outcome, bytes):
            added = tuple(Content(name, data) for name, data in contents.items())
            return Returned(outcome, timing, added, library_versions(libraries))
        return _raised(outcome, call.name, timing)

    def _result(self, call: Call, contents: dict[str, bytes], libraries: set[str]) -> bytes:
        """Return the pickled result.

        Add to `contents` what it refers to, and to `libraries` the names of those that it needs.
        """
        # First of all use both contents, so that the worker's account stays right if one fails.
        shared = None if call.shared is None else self._shared.use(call.shared)
        lazy = self._functions.use(call.function)
        with explained_imports(call.name, call.modules):
            function = lazy.load()
        if isinstance(function, TaskFunction):
            value = function.compute(_context(call, shared, contents))
        else:
            with explained_imports(call.name, call.modules):
                # Unpickled for each call: a function may change its arguments in place.
                common, common_keywords = ((), {}) if shared is None else payload.loads(shared)
                positional, keywords = payload.loads(call.arguments)
            value = function(*common, *positional, **{**common_keywords, **keywords})
        return payload.dumps(
            value,
            f"The result of {call.name}",
            compression=call.compression,
            libraries=libraries,
        )


class _LazyFunction:
    """Unpickles a function when it is first called: if that fails, the call fails."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self._function: Callable[..., Any] | TaskFunction | None = None

    def load(self) -> "Callable[..., Any] | TaskFunction":
        if self._function is None:
            self._function = payload.loads(self._pickled)
            self._pickled = b""
        assert self._function is not None
        return self._function


def _context(call: Call, shared: bytes | None, contents: dict[str, bytes]) -> TaskContext:
    def arguments() -> tuple[Any, ...]:
        positional: tuple[Any, ...] = payload.loads(call.arguments)[0]
        return positional

    def add_content(data: bytes) -> str:
        name = content_name(data)
        contents[name] = data
        return name

    return TaskContext(shared, arguments, call.attempt, add_content)


def _timing(begun: float, seconds: float, blocks: list[BlockRecord]) -> Measured:
    kept = (
        BlockRecord(_writable(block.name[:NAME_CHARACTERS]), block.begun, block.seconds)
        for block in blocks[:BLOCKS_KEPT]
    )
    return Measured(
        begun=begun, seconds=seconds, blocks=len(blocks) or 1, block_records=tuple(kept)
    )


def _writable(name: str) -> str:
    """Spell out lone surrogates, which undecodable file names have and JSON cannot hold."""
    return name.encode(errors="backslashreplace").decode()


def _raised(error: BaseException, name: str, timing: Measured) -> Raised:
    if isinstance(error, ModuleNotFoundError):
        error.msg = (
            f"{error} (while a worker prepared or computed {name}; install the module in the "
            "workers' image or, if it is yours, name it in RIOS_AWSBATCH_MODULES)"
        )
        error.args = (error.msg,)
    kind = type(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the exception's class is the user's code
        text = "(its message cannot be read)"
    lines = traceback.format_exception(error.with_traceback(_users_part(error.__traceback__)))
    return Raised(
        reason="refused" if isinstance(error, PicklingError) else "raised",
        error=kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}",
        text=text[:TEXT_CHARACTERS],
        traceback="".join(lines)[-TRACEBACK_CHARACTERS:],
        versions=describe_versions(),
        exception=_pickled(error),
        timing=timing,
    )


def _pickled(error: BaseException) -> bytes | None:
    """Return a pickled exception; None if it cannot be pickled, or not be unpickled again."""
    try:
        pickled = payload.dumps(error, "The exception")
        payload.loads(pickled)
    except Exception:  # noqa: BLE001 - the exception's class is the user's code
        return None
    return pickled


def _users_part(trace: types.TracebackType | None) -> types.TracebackType | None:
    """Return `trace` without our own frames at its beginning, which tell users nothing."""
    part = trace
    while part is not None and str(part.tb_frame.f_globals.get("__name__")).startswith(_OURS):
        part = part.tb_next
    return part or trace


def _out_of_reach(descriptor: int) -> int:
    """Return a high number for an open file: functions close low ones, and open files of theirs."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        high = fcntl.fcntl(
            descriptor, fcntl.F_DUPFD_CLOEXEC, min(most, _HIGHEST_FILES) - _HIGH_FILES
        )
    except OSError:  # a limit of very few files
        return descriptor
    os.close(descriptor)
    return high


def main() -> None:
    """Serve the worker that names its socket and the file for stacks in the arguments."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)  # never outlive the worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What users print belongs in the log when they print it.
        sys.stdout.reconfigure(line_buffering=True)
    connection: Connection[Any, Any] = Connection(_out_of_reach(int(sys.argv[1])))
    stacks = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    write_stacks_at_signal(_out_of_reach(stacks))
    connection.send(find_versions())
    serve(connection)
