"""The process that calls the user's function: one per worker, beside the worker's own.

The worker keeps talking to AWS while this process computes, whatever the user's code does: hold Python's global lock
for minutes, crash, be killed for its memory. Calls and replies travel over a socket pair.
"""

import collections
import copy
import ctypes
import dataclasses
import io
import os
import pickle
import platform
import signal
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Generic, Literal, TypeVar

import cloudpickle

from rios_plugin_awsbatch.errors import PicklingError
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.compression import Compression

__all__ = ["Call", "Raised", "Recent", "call_chunk", "versions"]

FUNCTIONS_KEPT = 8
SHARED_KEPT = 2
TEXT_CHARACTERS, TRACEBACK_CHARACTERS = 10_000, 50_000  # a failure must fit into a message

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Call:
    """What the worker asks: call a function.

    Attributes:
        name: What users call the task.
        function: Content name of the pickled callable.
        shared: Content name of the pickled shared arguments, if there are any.
        new: The bytes of those of the two that this process does not hold yet.
        arguments: The pickled pair (positional, keyword).
        compression: For the result.
    """

    name: str
    function: str
    shared: str | None
    new: dict[str, bytes]
    arguments: bytes
    compression: Compression


@dataclasses.dataclass(frozen=True)
class Raised:
    """What the worker gets instead of a result: the fields of a `messages.Failure`, with the exception pickled."""

    reason: Literal["raised", "refused"]
    error: str
    text: str
    traceback: str
    versions: str
    exception: bytes | None


class Recent(Generic[Value]):
    """The values used last, by name; the worker's process keeps the names, this one the values, in the same order."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: collections.OrderedDict[str, Value] = collections.OrderedDict()

    def touch(self, name: str, make: Callable[[], Value]) -> Value:
        """Return the value of `name`, made if it is not held."""
        if name not in self._values:
            self._values[name] = make()
        self._values.move_to_end(name)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values


def versions() -> str:
    """Return the versions that matter for exchanging pickles, for people."""
    numpy = sys.modules.get("numpy")
    return ", ".join(
        f"{name} {version}"
        for name, version in (
            ("Python", platform.python_version()),
            ("cloudpickle", cloudpickle.__version__),
            ("numpy", getattr(numpy, "__version__", None)),
        )
        if version
    )


def call_chunk(
    function: Callable[..., Any],
    common: tuple[Any, ...],
    keywords: dict[str, Any],
    chunk: Sequence[tuple[Any, ...]],
) -> list[Any]:
    """Call `function` with each tuple of arguments in `chunk`; one task for many calls.

    Each call has its own copy of `common` and `keywords`, which all calls have in common.
    """
    results = []
    for left, arguments in zip(reversed(range(len(chunk))), chunk, strict=True):
        own, own_keywords = copy.deepcopy((common, keywords)) if left else (common, keywords)
        results.append(function(*own, *arguments, **own_keywords))
    return results


def serve(connection: "Connection[Any, Any]") -> None:
    """Answer calls until the worker closes its end."""
    functions: Recent[Callable[..., Any]] = Recent(FUNCTIONS_KEPT)
    shared: Recent[bytes] = Recent(SHARED_KEPT)
    myself = os.getpid()
    while True:
        try:
            call: Call = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        reply = _answer(call, functions, shared)
        if (
            os.getpid() != myself
        ):  # a child that the function forked; a second reply would be the next task's result
            os._exit(0)
        connection.send(reply)


def _answer(
    call: Call, functions: Recent[Callable[..., Any]], shared: Recent[bytes]
) -> bytes | Raised:
    try:
        # Both are touched before anything can fail, so that the worker's account of them stays right.
        pickled_shared = (
            shared.touch(call.shared, lambda: call.new[call.shared or ""]) if call.shared else None
        )
        function = functions.touch(call.function, lambda: _lazily(call.new[call.function]))
        common, keywords = payload.loads(pickled_shared) if pickled_shared is not None else ((), {})
        positional, own_keywords = payload.loads(call.arguments)
        value = function(*common, *positional, **{**keywords, **own_keywords})
        return payload.dumps(value, f"The result of {call.name}", compression=call.compression)
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is the task's result
        return _raised(error, call.name)


def _lazily(pickled: bytes) -> Callable[..., Any]:
    """Return a callable that unpickles itself at its first call, so that a failure to do so is that call's."""
    loaded: list[Callable[..., Any]] = []

    def call(*arguments: Any, **keywords: Any) -> Any:
        if not loaded:
            loaded.append(payload.loads(pickled))
        return loaded[0](*arguments, **keywords)

    return call


def _raised(error: BaseException, name: str) -> Raised:
    if isinstance(error, ModuleNotFoundError):
        error.msg = (
            f"{error} (while a worker prepared or computed {name}; if the module is yours, define the function in the "
            "script itself, or install the module in the workers' image)"
        )
        error.args = (error.msg,)
    try:
        exception: bytes | None = payload.dumps(error, "The exception")
        payload.loads(exception or b"")  # some exceptions pickle well and cannot be unpickled
    except Exception:  # noqa: BLE001 - then its text travels alone
        exception = None
    kind = type(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it is the user's code
        text = "(its message cannot be had)"
    lines = traceback.format_exception(error.with_traceback(_users_part(error.__traceback__)))
    return Raised(
        reason="refused" if isinstance(error, PicklingError) else "raised",
        error=kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}",
        text=text[:TEXT_CHARACTERS],
        traceback="".join(lines)[-TRACEBACK_CHARACTERS:],
        versions=versions(),
        exception=exception,
    )


def _users_part(trace: types.TracebackType | None) -> types.TracebackType | None:
    """Return `trace` without the frames of this module, which tell users nothing."""
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename == __file__:
        part = part.tb_next
    return part or trace


def main() -> None:
    """Serve the worker whose socket is the file descriptor in the first argument."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)  # outlive the worker in no case
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # what users print belongs into the log when they print it
        sys.stdout.reconfigure(line_buffering=True)
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    serve(connection)
