"""The server: moto with the services of this wing, the stack, and HTTP on loopback."""

import contextlib
import dataclasses
import functools
import importlib
import importlib.resources
import os
import platform
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import moto.backends
from moto.cloudformation.models import cloudformation_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import batch, cloudformation, sqs, web
from .attempts import Surroundings
from .authority import Authority
from .clock import Clock
from .credentials import AccessKey, Credentials
from .environment import client_environment, container_environment
from .guard import Guard, Recorder
from .logs import JobLogs
from .options import ServerOptions
from .orders import Orders, taking_orders
from .outages import outages
from .scheduler import Scheduler
from .unkind import Unkindness

__all__ = ["serving"]


@contextlib.contextmanager
def serving(options: ServerOptions) -> Iterator[str]:
    """Serve on a free port, with the stack created, and end all jobs afterwards.

    Yields:
        The endpoint's URL.

    Raises:
        Exception: The middleware cannot be imported, or the stack cannot be created.
    """
    credentials = Credentials({name: AccessKey(*key) for name, key in options.keys.items()})
    authority = Authority(DEFAULT_ACCOUNT_ID, options.region, options.stack, options.users)
    server = web.loopback_server()
    options = dataclasses.replace(options, endpoint=f"http://127.0.0.1:{server.server_port}")
    clock, unkindness = Clock(), Unkindness(options.unkind)
    with tempfile.TemporaryDirectory(
        prefix="rios-awsbatch-local-", ignore_cleanup_errors=True
    ) as scratch:
        scheduler = _scheduler(options, Path(scratch), clock, credentials)
        sqs.install(options.endpoint, clock, unkindness)
        cloudformation.install()
        batch.install(scheduler, unkindness)
        orders = Orders(clock, scheduler, unkindness)
        layers: list[Callable[[Any], Any]] = [
            lambda app: Guard(app, credentials, authority, Recorder(options.record)),
            credentials.served_by,
            functools.partial(outages, unkindness=unkindness),
            functools.partial(taking_orders, orders=orders),
        ]
        server.app = _application(layers, options.middleware)
        _create_stack(options)
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
        try:
            yield options.endpoint
        finally:
            scheduler.close()


def _application(layers: Iterable[Callable[[Any], Any]], middleware: str | None) -> Any:
    """Return moto's application within layers, the innermost first, and the middleware."""
    # moto lists its own folder for each request, a third of the time that a short one takes.
    modules = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    app = web.reporting(DomainDispatcherApplication(create_backend_app))
    for layer in layers:
        app = layer(app)
    if middleware is None:
        return app
    module, _, factory = middleware.partition(":")
    return getattr(importlib.import_module(module), factory)(app)


def _scheduler(
    options: ServerOptions, scratch: Path, clock: Clock, credentials: Credentials
) -> Scheduler:
    packages = scratch / "packages"
    packages.mkdir()
    environment = {
        **container_environment(os.environ, options.worker_python, packages),
        **client_environment(options.endpoint, options.region, options.stack),
    }
    logs = JobLogs(options.region, shown=options.logs)
    of_role = functools.partial(credentials.of_role, options.endpoint)
    surroundings = Surroundings(environment, scratch, logs.write, of_role)
    return Scheduler(options.workers, options.stop_grace, surroundings, clock)


def _on_arm() -> bool:
    return platform.machine().lower() in {"aarch64", "arm64"}


def _create_stack(options: ServerOptions) -> None:
    file = importlib.resources.files("rios_plugin_awsbatch.stack").joinpath("batch.yaml")
    template = file.read_text(encoding="utf-8")
    backend = cloudformation_backends[DEFAULT_ACCOUNT_ID][options.region]
    stack = backend.create_stack(
        options.stack,
        template,
        # Workers run on this machine.
        {"MaxJobs": str(options.workers), "Architecture": "arm64" if _on_arm() else "x86_64"},
        tags={},
    )
    if stack.status != "CREATE_COMPLETE":
        reasons = [
            str(event.resource_status_reason)
            for event in stack.events
            if event.resource_status == "CREATE_FAILED"
        ]
        raise RuntimeError("; ".join(reasons))
