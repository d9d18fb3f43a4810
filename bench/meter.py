"""Counts AWS requests and makes them take their time, as a middleware of the embedded AWS.

::

    boto3 ---> half the latency ---> the embedded AWS ---> the other half ---> boto3
    bench ---> /bench/requests, /bench/latency

So a long poll takes the way there before it waits, and the way back afterwards.
"""

import dataclasses
import io
import json
import re
import time
import urllib.parse
import urllib.request

LATENCY = {"s3": 0.025, "sqs": 0.008}
_SERVICE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/([^/]*)/")
_ACTION = re.compile(rb"\bAction=(\w+)")
_QUEUE = re.compile(rb'"QueueUrl": ?"[^"]*?(\w+)"')
_BUCKET_OPERATIONS = {"POST": "DeleteObjects", "GET": "ListObjectsV2"}


@dataclasses.dataclass
class Request:
    """One request.

    Attributes:
        at: When it arrived, as a Unix time.
        operation: Its service and operation, and its queue if it has one.
        received: Bytes of its body.
        sent: Bytes of the answer; None until it is answered.
    """

    at: float
    operation: str
    received: int
    sent: int | None = None


class MeteringApp:
    """Same as the application, but it delays and notes every request.

    Args:
        app: The application.
    """

    def __init__(self, app):
        self._app = app
        # The two have no lock: each is replaced or appended to, which is one step.
        self._latency = dict(LATENCY)
        self._requests = []

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"].startswith("/bench/"):
            answer = json.dumps(self._answer(environ, body)).encode()
            start_response(
                "200 OK",
                [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
            )
            return [answer]
        service = _service(environ)
        request = Request(time.time(), f"{service} {_operation(service, environ, body)}", len(body))
        self._requests.append(request)
        half = self._latency.get(service, 0) / 2
        time.sleep(half)
        chunks = self._app(environ, start_response)
        answer = b"".join(chunks)
        getattr(chunks, "close", bool)()
        time.sleep(half)
        request.sent = len(answer)
        return [answer]

    def _answer(self, environ, body):
        if environ["PATH_INFO"] == "/bench/latency":
            self._latency = json.loads(body)
            return self._latency
        since = float(urllib.parse.parse_qs(environ["QUERY_STRING"])["since"][0])
        return [
            dataclasses.astuple(request) for request in list(self._requests) if request.at >= since
        ]


def _service(environ):
    signed = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return signed[1] if signed else "unsigned"


def _operation(service, environ, body):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/")
    if service == "s3":
        return (
            f"{method.title()}Object"
            if "/" in path
            else _BUCKET_OPERATIONS.get(method, f"{method.title()}Bucket")
        )
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if target:
        queue = _QUEUE.search(body)
        return f"{target} {queue[1].decode()}" if queue else target
    action = _ACTION.search(body)
    return action[1].decode() if action else path.rpartition("/")[2]


class Meter:
    """Asks the middleware, for the bench.

    Args:
        endpoint: The URL of the embedded AWS.
    """

    def __init__(self, endpoint):
        self._endpoint = endpoint

    def requests(self, since, until=float("inf")):
        """Return the requests that arrived in a period."""
        answer = self._ask(f"requests?since={since!r}")
        return [
            request for request in (Request(*fields) for fields in answer) if request.at < until
        ]

    def set_latency(self, latency):
        """Set how many seconds requests take, by service."""
        self._ask("latency", json.dumps(latency).encode())

    def settle(self, quiet=2.6):
        """Wait until no request has arrived for `quiet` seconds: workers may delete 2 s late."""
        since = time.time()
        while arrived := self.requests(since):
            since = max(request.at for request in arrived) + 1e-6
            time.sleep(0.1)
        if (left := quiet - (time.time() - since)) > 0:
            time.sleep(left)
            if self.requests(since):
                self.settle(quiet)

    def _ask(self, what, data=None):
        with urllib.request.urlopen(f"{self._endpoint}/bench/{what}", data, timeout=30) as answer:
            return json.load(answer)
