"""The server's process, started by `LocalAWS` as ``python -m rios_plugin_awsbatch.local``.

It reads its options from standard input, one line of JSON, and answers with one line of JSON on
standard output. It ends when standard input does: its owner has left the context, or is dead.
"""

import contextlib
import gc
import json
import os
import select
import signal
import sys

from .options import ServerOptions

__all__ = ["main"]


def main() -> None:
    """Serve until the owner has gone."""
    owner = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options = ServerOptions(**json.loads(sys.stdin.readline()))
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nobody reads the pipe any more: print elsewhere
    sys.path.extend(entry for entry in options.path if entry not in sys.path)
    with contextlib.ExitStack() as exits:
        started = _start(options, exits)
        with answer:
            answer.write(json.dumps(started) + "\n")
        if "endpoint" in started:
            _wait_for_end_of(owner)
    # Python would take half a second to tear moto down, and nothing is left to do.
    os._exit(0)


def _start(options: ServerOptions, exits: contextlib.ExitStack) -> dict[str, str]:
    # moto has much data, which never becomes garbage. To look for garbage there takes long.
    gc.disable()
    try:
        return _started(options, exits)
    finally:
        gc.freeze()
        gc.enable()


def _started(options: ServerOptions, exits: contextlib.ExitStack) -> dict[str, str]:
    try:
        from . import slim  # noqa: PLC0415 - moto is an extra, and may be missing

        slim.install()
        from .server import serving  # noqa: PLC0415 - as above, and after what slim has installed
    except ImportError as error:
        return {"missing": str(error)}
    try:
        return {"endpoint": exits.enter_context(serving(options))}
    except Exception as error:  # noqa: BLE001 - the owner raises it
        return {"error": f"{type(error).__name__}: {error}"}


def _wait_for_end_of(owner: int) -> None:
    """Return when standard input ends, or when the owner does.

    A child of the owner may still hold the other end of the pipe.
    """
    while os.getppid() == owner:
        if select.select([sys.stdin], [], [], 1.0)[0]:
            return


if __name__ == "__main__":
    main()
