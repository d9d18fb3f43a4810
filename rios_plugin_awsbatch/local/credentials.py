"""Who calls: the access keys of users, and the credentials of jobs, which expire and are renewed.

A job gets its role's credentials as from ECS: from an HTTP endpoint, at a URL that only the job
knows. botocore and GDAL ask there again before the credentials expire. GDAL 3.6 does not know
such a URL, and ECS's own address is none of this machine's; so it is told that the machine's
metadata, which have the credentials too, are below that URL.

Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html and
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
"""

import contextlib
import dataclasses
import datetime as dt
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["MAIN", "OWNER", "AccessKey", "Caller", "Credentials", "new_key"]

# Whom a process outside of jobs may be, besides the users that are given: whoever owns the account
# may do everything, and who runs main scripts has the stack's policy for that.
OWNER: Final = "owner"
MAIN: Final = "main"
PATH: Final = "/v2/credentials/"  # as in ECS; no bucket has a name this short
# ECS gives them for six hours. botocore renews them when less than a quarter of an hour is left.
SECONDS: Final = 3600.0
_VARIABLE: Final = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_METADATA_VARIABLE: Final = "CPL_AWS_EC2_API_ROOT_URL"  # GDAL's
_SESSION_PATH: Final = "/latest/api/token"
_ROLES: Final = "/latest/meta-data/iam/security-credentials/"
_ROLE: Final = "job"
_NO_TASK: Final = b'{"code": "InvalidId", "message": "CredentialsHandler: Credentials not found"}'


@dataclasses.dataclass(frozen=True)
class AccessKey:
    """A key pair, with a session's token unless it is a user's.

    Attributes:
        id: The id, which requests name.
        secret: The secret.
        token: The session's token.
    """

    id: str
    secret: str
    token: str = ""


@dataclasses.dataclass(frozen=True)
class Caller:
    """Whose credentials a request has.

    Attributes:
        user: The user's name, `OWNER` and `MAIN` among them; empty for a job.
        role: ARN of the job's role.
        session: Name of the role's session: the id of the job's ECS task.
        expires: When its credentials expire, in seconds since 1970; None if never.
    """

    user: str = ""
    role: str = ""
    session: str = ""
    expires: float | None = None


def new_key(*, temporary: bool = False) -> AccessKey:
    """Make up a key pair that nobody can guess.

    Args:
        temporary: Whether it is a session's, as jobs have, rather than a user's.
    """
    kind = "ASIA" if temporary else "AKIA"
    name = f"{kind}{secrets.token_hex(8).upper()}"
    return AccessKey(name, secrets.token_urlsafe(30), secrets.token_urlsafe(60) * temporary)


@dataclasses.dataclass
class _Task:
    role: str
    session: str
    key: AccessKey | None = None
    expires: float = 0.0


class Credentials:
    """All credentials that the embedded AWS accepts.

    Args:
        users: The keys of users, by their names.
        seconds: How long the credentials of jobs are valid.
        clock: Tells the time, in seconds since 1970.
    """

    def __init__(
        self,
        users: Mapping[str, AccessKey],
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._changing = threading.Lock()  # guards all that follows
        self._callers = {key.id: Caller(user=name) for name, key in users.items()}
        self._tasks: dict[str, _Task] = {}  # by the secret part of their URLs

    @contextlib.contextmanager
    def of_role(self, endpoint: str, role: str) -> Iterator[dict[str, str]]:
        """Yield the variables that give a job the credentials of its role, as long as it runs.

        Those that it has afterwards stay valid until they expire.

        Args:
            endpoint: The server's URL.
            role: The role's ARN; a job without a role has no credentials.
        """
        if not role:
            yield {}
            return
        secret = secrets.token_urlsafe(30)
        with self._changing:
            self._tasks[secret] = _Task(role, secrets.token_hex(16))
        try:
            url = f"{endpoint}{PATH}{secret}"
            yield {_VARIABLE: url, _METADATA_VARIABLE: url}
        finally:
            with self._changing:
                del self._tasks[secret]

    def caller(self, key: str) -> Caller | None:
        """Return who calls with an access key's id; None if nobody has it."""
        with self._changing:
            return self._callers.get(key)

    def has_expired(self, caller: Caller) -> bool:
        """Say whether the caller's credentials are too old."""
        return caller.expires is not None and caller.expires <= self._clock()

    def _answer(self, secret: str) -> dict[str, Any] | None:
        """Return what the endpoint says: the same credentials until half of their time is over."""
        now = self._clock()
        with self._changing:
            task = self._tasks.get(secret)
            if task is None:
                return None
            if task.key is None or task.expires - now < self._seconds / 2:
                self._forget_before(now - self._seconds)
                task.key, task.expires = new_key(temporary=True), now + self._seconds
                self._callers[task.key.id] = Caller(
                    role=task.role, session=task.session, expires=task.expires
                )
            key, expires = task.key, dt.datetime.fromtimestamp(task.expires, dt.timezone.utc)
        return {
            "Code": "Success",
            "RoleArn": task.role,
            "AccessKeyId": key.id,
            "SecretAccessKey": key.secret,
            "Token": key.token,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _forget_before(self, moment: float) -> None:
        """Forget what expired long ago; the caller holds the lock."""
        old = [
            name
            for name, caller in self._callers.items()
            if caller.expires is not None and caller.expires < moment
        ]
        for name in old:
            del self._callers[name]

    def served_by(self, app: "WSGIApplication") -> "WSGIApplication":
        """Return the application with the endpoint that gives jobs their credentials."""

        def served(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            path: str = environ["PATH_INFO"]
            if not path.startswith(PATH):
                return app(environ, start_response)
            secret, slash, below = path.removeprefix(PATH).partition("/")
            answer = self._answer(secret)
            if answer is None:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [_NO_TASK]
            metadata = {_SESSION_PATH: "token", _ROLES: _ROLE}
            text = metadata.get(f"{slash}{below}", json.dumps(answer))
            start_response("200 OK", [("Content-Type", "application/json")])
            return [text.encode()]

        return served
