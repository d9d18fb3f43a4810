"""The layer of the server that lets nobody do what its policies do not allow, and records calls."""

import io
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .api_calls import Call, read_call
from .authority import Authority, Principal
from .credentials import OWNER, Credentials
from .iam import Access, decide
from .iam_actions import Account, accesses, missing_object_access
from .refusals import EXPIRED, UNKNOWN_KEY, UNSIGNED, Refusal, denial, http_answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Guard", "Recorder"]

_READS_OBJECTS: Final = {"GetObject", "HeadObject"}
_NOT_FOUND: Final = "404"


class Recorder:
    """Writes what is called, each different call once: a line of JSON in a file.

    A line has the caller, what the call needs, and whether it was allowed. Before the first call of
    a caller, and whenever its policies have changed, there is a line with its policies.

    Args:
        path: The file, to which it adds; None for no record.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._writing = threading.Lock()  # guards the file and `_seen`
        self._seen: set[str] = set()

    def note(
        self,
        principal: Principal,
        call: Call,
        needed: Access,
        context: Mapping[str, Any],
        *,
        allowed: bool,
    ) -> None:
        """Record one thing that a call needs."""
        if self._path is None:
            return
        role = principal.arn.split("/")[1:2]
        policies = {name: json.loads(text) for name, text in principal.documents.items()}
        self._write({"caller": principal.kind, "role": role, "policies": policies})
        self._write(
            {
                "caller": principal.kind,
                "arn": principal.arn,
                "call": f"{call.service}.{call.operation}",
                "action": needed.action,
                "resource": needed.resource,
                "context": dict(context),
                "allowed": allowed,
            }
        )

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, sort_keys=True)
        with self._writing:
            if line not in self._seen and self._path is not None:
                self._seen.add(line)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


class Guard:
    """Lets through what the caller's policies allow, and refuses the rest as AWS does.

    Args:
        app: The application behind it.
        credentials: Knows who calls.
        authority: Knows what callers may do.
        recorder: Records calls.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        credentials: Credentials,
        authority: Authority,
        recorder: Recorder,
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._authority = authority
        self._recorder = recorder

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        call = read_call(environ, body)
        method = environ["REQUEST_METHOD"]
        principal = self._identified(call)
        if isinstance(principal, Refusal):
            return _refused(call, method, principal, start_response)
        account = self._account(call)
        for access in accesses(call, account):
            refusal = self._refusal(principal, call, access)
            if refusal is not None:
                return _refused(call, method, refusal, start_response)
        if call.operation not in _READS_OBJECTS or principal.kind == OWNER:
            return self._app(environ, start_response)
        return self._read_object(environ, start_response, principal, call)

    def _identified(self, call: Call) -> Principal | Refusal:
        caller = self._credentials.caller(call.key)
        if caller is None:
            return UNKNOWN_KEY if call.key else UNSIGNED
        if self._credentials.has_expired(caller):
            return EXPIRED
        return self._authority.principal(caller)

    def _account(self, call: Call) -> Account:
        known = self._authority
        region = call.region or known.region
        return Account(known.account, region, known.partition, known)

    def _refusal(self, principal: Principal, call: Call, access: Access) -> Refusal | None:
        context = {**self._context(principal, call), **access.context}
        needed = Access(access.action, access.resource, context)
        decision = decide(principal.policies, needed, principal.boundaries)
        self._recorder.note(principal, call, access, context, allowed=decision.allowed)
        if decision.allowed:
            return None
        return denial(principal.arn, call.service, access, decision)

    def _context(self, principal: Principal, call: Call) -> dict[str, str]:
        return {
            "aws:PrincipalAccount": self._authority.account,
            "aws:PrincipalArn": principal.arn,
            "aws:RequestedRegion": call.region or self._authority.region,
            "aws:SecureTransport": "true",  # stands for TLS, which loopback does not need
        }

    def _read_object(
        self,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        principal: Principal,
        call: Call,
    ) -> Iterable[bytes]:
        """Answer a request for an object: who may not list the bucket is not told it is missing."""
        seen: list[Any] = []

        def note(*given: Any) -> Any:
            seen[:] = given
            return lambda _: None

        chunks = self._app(environ, note)
        status, headers, *_ = seen
        if status.startswith(_NOT_FOUND):
            missing = missing_object_access(call, self._account(call))
            refusal = self._refusal(principal, call, missing)
            if refusal is not None:
                return _refused(call, environ["REQUEST_METHOD"], refusal, start_response)
        start_response(status, headers)
        return chunks


def _refused(
    call: Call, method: str, refusal: Refusal, start_response: "StartResponse"
) -> Iterable[bytes]:
    status, headers, body = http_answer(call.service, method, refusal)
    start_response(status, headers)
    return [body]
