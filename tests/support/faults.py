"""Faults for the embedded AWS, switched over HTTP.

The embedded AWS is ``LocalAWS(middleware="tests.support.faults:factory")``, and `Faults` the
switch. ``PUT /faults/rules`` takes a list of rules, ``GET /faults/counts`` says how often each has
been applied, and ``GET /faults/busy`` how many requests with a fault have not been answered yet.
"""

import contextlib
import dataclasses
import io
import json
import re
import threading
import time
import urllib.request

from tests.support import forking

__all__ = ["Faults", "Rule", "factory"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which requests get which fault.

    Attributes:
        fault: ``slow_down``: a 503, nothing is done. ``lost``: it is done, and answered with a 500.
            ``cut``: it is done, and the connection drops without an answer. ``drop``: nothing is
            done, and the connection drops. ``half``: the connection drops in the middle of the
            answer's body. ``twice``: it is done twice. ``corrupt``: a byte of the answer's body is
            wrong. ``late``: it is done after `seconds`. ``held``: it is done, and answered after
            `seconds`. ``denied``: a 403, nothing is done.
            ``expired``: an ExpiredToken, nothing is done. ``html``: nothing is done; the answer is
            a login page, as from a proxy.
        service: The service's name in the signature.
        operation: The last word of SQS's target or Batch's path, or S3's HTTP method; any if empty.
        contains: A part of the path, the body or the signature, which names the key.
        spare: How many such requests to spare first.
        times: How many to apply it to then.
        seconds: For ``late`` and ``held``.
    """

    fault: str
    service: str
    operation: str = ""
    contains: str = ""
    spare: int = 0
    times: int = 1_000_000
    seconds: float = 0.0


class Faults:
    """The switch, for tests.

    Args:
        endpoint: The URL of the embedded AWS.
    """

    def __init__(self, endpoint):
        self._endpoint = endpoint

    def set(self, *rules):
        body = json.dumps([dataclasses.asdict(rule) for rule in rules]).encode()
        self._call(
            urllib.request.Request(f"{self._endpoint}/faults/rules", data=body, method="PUT")
        )

    def counts(self):
        return self._call(urllib.request.Request(f"{self._endpoint}/faults/counts"))

    def busy(self):
        return self._call(urllib.request.Request(f"{self._endpoint}/faults/busy"))

    @contextlib.contextmanager
    def injected(self, *rules):
        """Apply rules inside the context; each must have been applied at its end."""
        self.set(*rules)
        try:
            yield
            assert all(self.counts()), (rules, self.counts())
        finally:
            self.set()

    def _call(self, request):
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


class _Middleware:
    def __init__(self, app):
        self._app = app
        self._lock = threading.Lock()
        self._rules = []
        self._seen = []
        self._busy = 0

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"].startswith("/faults/"):
            return self._switch(environ, start_response, body)
        rule = self._match(environ, body)
        if rule is None:
            return self._pass_on(environ, start_response, body)
        try:
            return getattr(self, f"_{rule.fault}")(environ, start_response, body, rule)
        finally:
            with self._lock:
                self._busy -= 1

    def _switch(self, environ, start_response, body):
        with self._lock:
            if environ["REQUEST_METHOD"] == "PUT":
                self._rules = [Rule(**rule) for rule in json.loads(body)]
                self._seen = [0] * len(self._rules)
            answer = (
                self._busy
                if environ["PATH_INFO"].endswith("/busy")
                else [
                    min(max(seen - rule.spare, 0), rule.times)
                    for rule, seen in zip(self._rules, self._seen, strict=True)
                ]
            )
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _match(self, environ, body):
        service, operation = _kind_of(environ)
        with self._lock:
            for number, rule in enumerate(self._rules):
                if rule.service != service or rule.operation not in ("", operation):
                    continue
                words = environ["PATH_INFO"] + environ.get("HTTP_AUTHORIZATION", "")
                if rule.contains not in words and rule.contains.encode() not in body:
                    continue
                self._seen[number] += 1
                if rule.spare < self._seen[number] <= rule.spare + rule.times:
                    self._busy += 1
                    return rule
        return None

    def _pass_on(self, environ, start_response, body):
        environ["wsgi.input"] = io.BytesIO(body)
        return self._app(environ, start_response)

    def _done(self, environ, body):
        """Do it; return status, headers and body."""
        started = []
        chunks = self._pass_on(environ, lambda *given: started.append(given), body)
        return started[-1][0], list(started[-1][1]), b"".join(chunks)

    def _slow_down(self, environ, start_response, _body, _rule):
        return _error(environ, start_response, "503 Slow Down", "SlowDown")

    def _denied(self, environ, start_response, _body, _rule):
        return _error(environ, start_response, "403 Forbidden", "AccessDenied")

    def _expired(self, environ, start_response, _body, _rule):
        return _error(environ, start_response, "400 Bad Request", "ExpiredToken")

    def _html(self, _environ, start_response, _body, _rule):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<!DOCTYPE html>\n<html><body>Please log in<br></body></html>"]

    def _lost(self, environ, start_response, body, _rule):
        self._done(environ, body)
        return _error(environ, start_response, "500 Internal Server Error", "InternalError")

    def _drop(self, _environ, _start_response, _body, _rule):
        raise ConnectionError

    def _cut(self, environ, _start_response, body, _rule):
        self._done(environ, body)
        raise ConnectionError

    def _half(self, environ, _start_response, body, _rule):
        status, headers, answer = self._done(environ, body)
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        lines = [
            f"HTTP/1.1 {status}",
            *(f"{name}: {value}" for name, value in kept),
            f"Content-Length: {len(answer)}",
        ]
        head = "\r\n".join([*lines, "", ""]).encode()
        environ["werkzeug.socket"].sendall(head + answer[: len(answer) // 2])
        raise ConnectionError

    def _twice(self, environ, start_response, body, _rule):
        self._done(environ, body)
        return self._pass_on(environ, start_response, body)

    def _corrupt(self, environ, start_response, body, _rule):
        status, headers, answer = self._done(environ, body)
        start_response(
            status, [(name, value) for name, value in headers if "checksum" not in name.lower()]
        )
        middle = len(answer) // 2
        return [answer[:middle], bytes([answer[middle] ^ 1]), answer[middle + 1 :]]

    def _late(self, environ, start_response, body, rule):
        time.sleep(rule.seconds)
        return self._pass_on(environ, start_response, body)

    def _held(self, environ, start_response, body, rule):
        status, headers, answer = self._done(environ, body)
        time.sleep(rule.seconds)
        start_response(status, headers)
        return [answer]


def factory(app):
    """Return the application, with faults between it and its clients; jobs are forked."""
    return _Middleware(forking.factory(app))


def _kind_of(environ):
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/(\w+)/", environ.get("HTTP_AUTHORIZATION", ""))
    service = scope.group(1) if scope else ""
    if service == "sqs":
        return service, environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if service == "s3":
        return service, environ["REQUEST_METHOD"]
    return service, environ["PATH_INFO"].rpartition("/")[2]


def _error(environ, start_response, status, code):
    if _kind_of(environ)[0] == "s3":
        start_response(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>A test's fault.</Message></Error>".encode()]
    start_response(status, [("Content-Type", "application/x-amz-json-1.0")])
    return [json.dumps({"__type": f"com.amazonaws#{code}", "message": "A test's fault."}).encode()]
