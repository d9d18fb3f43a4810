"""The process of the embedded AWS: ``python -m rios_plugin_awsbatch.local.server``, started by `LocalAWS`.

It reads one line of JSON (an `Order`) from standard input, answers with one line on standard output,
and ends when standard input does: its owner has left or was killed.
"""

import contextlib
import json
import os
import select
import signal
import sys

from .order import Order

__all__ = ["main"]


def main() -> None:
    """Serve until the owner has gone."""
    owner = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    order = Order(**json.loads(sys.stdin.readline()))
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anything prints must not fill a pipe that nobody reads
    sys.path.extend(entry for entry in order.path if entry not in sys.path)
    with contextlib.ExitStack() as exits:
        ready = _start(order, exits)
        with answer:
            answer.write(json.dumps(ready) + "\n")
        if "endpoint" in ready:
            _wait_for_end_of(owner)
    # Taking moto apart in good order takes half a second, in which nothing is left to do.
    os._exit(0)


def _start(order: Order, exits: contextlib.ExitStack) -> dict[str, str]:
    try:
        from .serving import serving  # noqa: PLC0415 - moto may be missing
    except ImportError as error:
        return {"missing": str(error)}
    try:
        return {"endpoint": exits.enter_context(serving(order))}
    except Exception as error:  # noqa: BLE001 - the owner raises it
        return {"error": f"{type(error).__name__}: {error}"}


def _wait_for_end_of(owner: int) -> None:
    """Return when standard input ends, or when the owner has, should a child of its hold the other end."""
    while os.getppid() == owner:
        if select.select([sys.stdin], [], [], 1.0)[0]:
            return


if __name__ == "__main__":
    main()
