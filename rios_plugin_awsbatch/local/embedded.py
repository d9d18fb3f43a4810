"""`LocalAWS`: starts, owns and ends the process of the embedded AWS."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from rios_plugin_awsbatch.endpoints import end_all_on
from rios_plugin_awsbatch.errors import AWSBatchException

from .activation import Activation
from .control import Control
from .credentials import MAIN, OWNER, AccessKey, new_key
from .environment import adapted, client_environment
from .options import ServerOptions

__all__ = ["ACCOUNT", "LocalAWS"]

ACCOUNT: Final = "123456789012"  # moto's

_RECORD: Final = "RIOS_AWSBATCH_EMBEDDED_RECORD"
_WORKER: Final = "rios-awsbatch-worker"
# Beyond the time that jobs have to stop.
_SERVER_GRACE: Final = 10.0


class LocalAWS:
    """The embedded AWS, as a context manager.

    Entering starts a server on a free port of 127.0.0.1, in a process of its own, and creates the
    stack there. From then on, boto3 and this package use it in all threads of this process, and in
    the processes that this one starts: runs begun inside the context never reach another AWS.
    Leaving ends these runs, all jobs and the server, and restores the environment. Server and jobs
    also end when this process ends, even if it is killed. If one is entered inside another, the
    inner one is used.

    For tests of failures: with ``workers=0`` jobs stay RUNNABLE, a job whose image is named
    ``missing/...`` fails because that cannot be pulled, and a middleware can delay, change or drop
    any request.

    Args:
        workers: How many worker jobs run at once, and as many main scripts.
        region: AWS region of the stack.
        stack: Name of the stack.
        stop_grace: Seconds between SIGTERM and SIGKILL when a job is stopped.
        logs: Whether to show what jobs print on standard error. The embedded CloudWatch Logs have
            it in any case.
        activate: Whether this process uses it while it is entered. If not, it does so only within
            `activated`, and processes with the variables of `environment` do.
        middleware: ``"module:factory"``. In the server's process, ``factory(app)`` gets the WSGI
            application and returns the one to serve. If that raises ConnectionError, the
            connection is dropped without an answer.
        unkind: A seed of random numbers, for the embedded AWS to be as unkind as the real one: new
            jobs and queues are unknown for a moment, messages come twice or late, requests are
            throttled, answers lost, machines vanish, and so on. `unkind` lists it all, with the
            sources. None to be kind.
        worker_python: The interpreter of another environment that has this package. Jobs run its
            programs, as if it were their image; by default, they run those of this interpreter.
        principal: Who this process is, and so what it may do: "owner", everything; "main", what the
            stack's policy for main scripts allows; or one of `users`. Jobs may do what the role in
            their job definition allows.
        users: The policies of users, as JSON, by the users' names.
        record: A file to which each different call is added as a line of JSON, with the IAM action,
            the resource and the caller's policies. By default, the file that the environment
            variable ``RIOS_AWSBATCH_EMBEDDED_RECORD`` names, if any.

    Attributes:
        environment: The variables that make boto3 and this package use the embedded AWS; empty
            unless it is entered.

    Raises:
        AWSBatchException: An argument is not valid, moto is missing, or the server did not start.
    """

    def __init__(  # noqa: PLR0913 - independent options, passed by name
        self,
        workers: int = 4,
        *,
        region: str = "ap-southeast-2",
        stack: str = "RIOS",
        stop_grace: float = 5.0,
        logs: bool = False,
        activate: bool = True,
        middleware: str | None = None,
        unkind: int | None = None,
        worker_python: str | None = None,
        principal: str = OWNER,
        users: Mapping[str, Sequence[str]] | None = None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        if workers < 0:
            raise AWSBatchException(f"workers is {workers}; give 0 or more.")
        names = [OWNER, MAIN, *(users or {})]
        if principal not in names:
            raise AWSBatchException(f"principal is {principal}; give {' or '.join(names)}.")
        self._principal = principal
        self._options = ServerOptions(
            workers=workers,
            region=region,
            stack=stack,
            stop_grace=stop_grace,
            logs=logs,
            middleware=middleware,
            unkind=unkind,
            worker_python=_interpreter(worker_python),
            # Not pathlib: Path("") is ".", which stays relative.
            path=[os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100
            keys={name: (key.id, key.secret) for name, key in _new_keys(names)},
            users={name: list(texts) for name, texts in (users or {}).items()},
            record=_record(record),
        )
        self._process: subprocess.Popen[str] | None = None
        self._activate = activate
        self._activation: Activation | None = None
        self.environment: dict[str, str] = {}

    @property
    def endpoint(self) -> str:
        """The URL of the embedded AWS, while it is entered."""
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def control(self) -> Control:
        """What tests may do to the embedded AWS, while it is entered."""
        return Control(self.endpoint)

    @contextlib.contextmanager
    def activated(self) -> Iterator[None]:
        """Make this process, and those that it starts, use the embedded AWS inside the context.

        Leaving restores the whole environment. Only an embedded AWS that is entered with
        ``activate=False`` needs this, or one inside which another has been entered.
        """
        activation = Activation(self.environment, exact=True)
        activation.begin()
        try:
            yield
        finally:
            activation.end()

    def adapted(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return ``environ``, changed so that a process uses the embedded AWS and no other."""
        return adapted(environ, self.environment)

    def environment_of(self, principal: str) -> dict[str, str]:
        """Return `environment`, but with the access key of another principal."""
        key, secret = self._options.keys[principal]
        return {**self.environment, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def __enter__(self) -> "LocalAWS":  # noqa: PYI034 - typing.Self needs Python 3.11
        if self._process is not None:
            raise AWSBatchException(f"{self.endpoint} is entered already; make another LocalAWS.")
        options = self._options
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", __package__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # In the user's folder, a file named like a module that the server imports would win.
            cwd=Path(__file__).parents[2],
            env=_server_environment(options),
            # Ctrl-C is for the main process, which still needs the server to clean up.
            start_new_session=True,
        )
        try:
            endpoint = self._await_endpoint(self._process)
        except BaseException:
            self._end()
            raise
        self.environment = client_environment(
            endpoint, options.region, options.stack, options.keys[self._principal]
        )
        if self._activate:
            self._activation = Activation(self.environment)
            self._activation.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        activation, self._activation = self._activation, None
        with contextlib.ExitStack() as steps:
            steps.callback(self._end)
            if activation is not None:
                steps.callback(activation.end)
            steps.callback(end_all_on, self.endpoint)

    def _await_endpoint(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(dataclasses.asdict(self._options)) + "\n")
            process.stdin.flush()
        answer = json.loads(process.stdout.readline() or "{}")
        if "missing" in answer:
            raise AWSBatchException(
                f"The embedded AWS needs moto ({answer['missing']}): "
                "pip install 'rios-plugin-awsbatch[local]'"
            )
        if "endpoint" not in answer:
            where = f"stack {self._options.stack} in {self._options.region}"
            reason = answer.get("error", "its process ended; standard error says why")
            raise AWSBatchException(f"The embedded AWS ({where}) did not start: {reason}.")
        return str(answer["endpoint"])

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.environment = {}
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(self._options.stop_grace + _SERVER_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _new_keys(names: Sequence[str]) -> Iterator[tuple[str, AccessKey]]:
    yield from ((name, new_key()) for name in names)


def _record(path: str | os.PathLike[str] | None) -> str | None:
    """Return the absolute path of the record: as given, or as the environment says."""
    chosen = path or os.environ.get(_RECORD)
    return str(Path(chosen).absolute()) if chosen else None


def _interpreter(path: str | None) -> str:
    """Return the absolute path of an interpreter; a link to it counts as it is."""
    if path is None:
        return sys.executable
    absolute = os.path.abspath(path)  # noqa: PTH100 - pathlib's leaves ".." in it
    if not Path(absolute).with_name(_WORKER).exists():
        raise AWSBatchException(
            f"worker_python is {path}, which has no {_WORKER} beside it; name the python of an "
            "environment in which rios-plugin-awsbatch is installed."
        )
    return absolute


def _server_environment(options: ServerOptions) -> dict[str, str]:
    environment = adapted(os.environ, client_environment("", options.region, options.stack))
    entries = environment.get("PYTHONPATH")
    if entries:
        # The server and its jobs run in other folders than the one that entries are relative to.
        absolute = map(os.path.abspath, entries.split(os.pathsep))
        environment["PYTHONPATH"] = os.pathsep.join(absolute)
    return environment
