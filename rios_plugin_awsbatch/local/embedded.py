"""`LocalAWS`: the owner of the embedded AWS's process."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from rios_plugin_awsbatch.errors import AWSBatchException

from .environment import adapted, client_environment
from .order import Order

__all__ = ["LocalAWS"]

# Beyond the jobs' own time to stop.
_SERVER_GRACE = 10.0


class LocalAWS:
    """The embedded AWS, as a context manager.

    Entering starts a moto server in a process of its own, on a free port of 127.0.0.1, and creates the
    stack there. Leaving ends every job and the server, which also ends when this process does, however
    it does.

    Args:
        workers: How many Batch jobs run at once, and as many main scripts; with 0, jobs stay RUNNABLE.
        region: AWS region of the stack.
        stack: Name of the stack.
        stop_grace: Seconds between SIGTERM and SIGKILL for a job that is to end.
        logs: Whether what jobs log is shown on standard error, besides being kept in the embedded CloudWatch.
        middleware: ``"module:factory"``; what ``factory(app)`` returns serves instead of the WSGI
            application, inside the server's process. If it raises ConnectionError, the connection drops.

    Attributes:
        environment: The variables with which boto3 and this package use the embedded AWS, once it is entered.
    """

    def __init__(  # noqa: PLR0913 - what can be ordered, each by its name
        self,
        workers: int = 4,
        *,
        region: str = "ap-southeast-2",
        stack: str = "RIOS",
        stop_grace: float = 5.0,
        logs: bool = False,
        middleware: str | None = None,
    ) -> None:
        if workers < 0:
            raise AWSBatchException(f"workers is {workers}; give 0 or more.")
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - Path("") is not ""
        self._order = Order(workers, region, stack, stop_grace, middleware, path, logs)
        self._process: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}

    @property
    def endpoint(self) -> str:
        """The URL of the embedded AWS, once it is entered."""
        return self.environment["AWS_ENDPOINT_URL"]

    @contextlib.contextmanager
    def activated(self) -> Iterator[None]:
        """Let this process, and those that it starts, use the embedded AWS meanwhile."""
        before = dict(os.environ)
        _set_environment(self.adapted(before))
        try:
            yield
        finally:
            _set_environment(before)

    def adapted(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return ``environ`` as a process needs it to use the embedded AWS and nothing else."""
        return adapted(environ, self.environment)

    def __enter__(self) -> "LocalAWS":  # noqa: PYI034 - typing has Self since 3.11
        order = self._order
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", f"{__package__}.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Not the user's folder, whose modules may have the names of others.
            cwd=Path(__file__).parents[2],
            env=_server_environment(order),
            # Ctrl-C is for the main process, which still needs the server to clean up.
            start_new_session=True,
        )
        try:
            endpoint = self._await_endpoint(self._process)
        except BaseException:
            self._end()
            raise
        self.environment = client_environment(endpoint, order.region, order.stack)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _await_endpoint(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(dataclasses.asdict(self._order)) + "\n")
            process.stdin.flush()
        answer = json.loads(process.stdout.readline() or "{}")
        if "missing" in answer:
            raise AWSBatchException(
                f"The embedded AWS needs moto: pip install 'rios-plugin-awsbatch[local]' ({answer['missing']})."
            )
        if "endpoint" not in answer:
            reason = answer.get(
                "error", "its process ended; what it wrote to standard error says why"
            )
            where = f"stack {self._order.stack} in {self._order.region}"
            raise AWSBatchException(f"The embedded AWS ({where}) did not start: {reason}.")
        return str(answer["endpoint"])

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.environment = {}
        with contextlib.suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(self._order.stop_grace + _SERVER_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _server_environment(order: Order) -> dict[str, str]:
    environment = adapted(os.environ, client_environment("", order.region, order.stack))
    entries = environment.get("PYTHONPATH")
    if entries:
        # Neither the server nor its jobs run in the folder that relative entries mean.
        absolute = map(os.path.abspath, entries.split(os.pathsep))
        environment["PYTHONPATH"] = os.pathsep.join(absolute)
    return environment


def _set_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
