"""moto as this package needs it: its own SQS and Batch put in, the stack created, served on loopback."""

import contextlib
import dataclasses
import importlib
import importlib.resources
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.cloudformation.models import cloudformation_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import batch, web
from . import cloudformation as stacks
from . import sqs as queues
from .order import Order

__all__ = ["serving"]


@contextlib.contextmanager
def serving(order: Order) -> Iterator[str]:
    """Serve on a free port, with the stack created; yield the endpoint, and end all jobs afterwards."""
    server = web.loopback_server(_application(order.middleware))
    order = dataclasses.replace(order, endpoint=f"http://127.0.0.1:{server.server_port}")
    with tempfile.TemporaryDirectory(
        prefix="rios-awsbatch-local-", ignore_cleanup_errors=True
    ) as scratch:
        queues.install(order.endpoint)
        stacks.install()
        service = batch.install(order, Path(scratch), os.environ)
        _create_stack(order)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield order.endpoint
        finally:
            service.close()


def _application(middleware: str | None) -> Any:
    app = web.reporting(DomainDispatcherApplication(create_backend_app))
    if middleware is None:
        return app
    module, _, factory = middleware.partition(":")
    return getattr(importlib.import_module(module), factory)(app)


def _create_stack(order: Order) -> None:
    stack_files = importlib.resources.files("rios_plugin_awsbatch.stack")
    template = stack_files.joinpath("batch.yaml").read_text(encoding="utf-8")
    backend = cloudformation_backends[DEFAULT_ACCOUNT_ID][order.region]
    stack = backend.create_stack(order.stack, template, {"MaxJobs": str(order.workers)}, tags={})
    if stack.status != "CREATE_COMPLETE":
        reasons = [
            event.resource_status_reason
            for event in stack.events
            if event.resource_status == "CREATE_FAILED"
        ]
        raise RuntimeError("; ".join(map(str, reasons)))
