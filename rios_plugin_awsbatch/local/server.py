"""The process of the embedded AWS: ``python -m rios_plugin_awsbatch.local.server``, started by `LocalAWS`.

It reads one line of JSON (an `Order`) from standard input, answers with one line on standard output,
and ends when standard input does: its owner has left or was killed.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        try:
            ready = {"endpoint": exits.enter_context(_serving(order))}
        except ImportError as error:
            ready = {"missing": str(error)}
        except Exception as error:  # noqa: BLE001 - the owner raises it
            ready = {"error": f"{type(error).__name__}: {error}"}
        with answer:
            answer.write(json.dumps(ready) + "\n")
        if "endpoint" in ready:
            _wait_for_end_of(owner)
    # Daemon threads may be in the middle of a request; nothing of theirs is worth waiting for.
    os._exit(0)


@contextlib.contextmanager
def _serving(order: Order) -> Iterator[str]:
    """Serve on a free port, with the stack created; yield the endpoint."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - may be missing
        DomainDispatcherApplication,
        create_backend_app,
    )

    from . import batch, queues, web  # noqa: PLC0415 - these import moto

    app: Any = web.reporting(DomainDispatcherApplication(create_backend_app))
    if order.middleware:
        module, _, factory = order.middleware.partition(":")
        app = getattr(importlib.import_module(module), factory)(app)
    server = web.loopback_server(app)
    order = dataclasses.replace(order, endpoint=f"http://127.0.0.1:{server.server_port}")
    queues.install(order.endpoint)
    with tempfile.TemporaryDirectory(prefix="rios-awsbatch-local-", ignore_cleanup_errors=True) as scratch:
        service = batch.install(order, Path(scratch), os.environ)
        _create_stack(order)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield order.endpoint
        finally:
            service.close()


def _create_stack(order: Order) -> None:
    from moto.cloudformation.models import cloudformation_backends  # noqa: PLC0415 - may be missing
    from moto.core.models import DEFAULT_ACCOUNT_ID  # noqa: PLC0415 - may be missing

    template = Path(__file__).with_name("stack.yaml").read_text(encoding="utf-8")
    backend = cloudformation_backends[DEFAULT_ACCOUNT_ID][order.region]
    backend.create_stack(order.stack, template, {"MaxJobs": str(order.workers)}, tags={})


def _wait_for_end_of(owner: int) -> None:
    """Return when standard input ends, or when the owner has, should a child of its hold the other end."""
    while os.getppid() == owner:
        if select.select([sys.stdin], [], [], 1.0)[0]:
            return


if __name__ == "__main__":
    main()
