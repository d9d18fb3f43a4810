"""MiniStack, an AWS that others wrote: its S3 and SQS take the place of the embedded ones.

Batch and CloudFormation stay embedded. Main and jobs are led by ``AWS_ENDPOINT_URL_S3`` and
``AWS_ENDPOINT_URL_SQS`` to a proxy, which can put faults between them and MiniStack::

    main, workers --> proxy with faults --> MiniStack: S3, SQS
          '---------> embedded AWS: Batch, CloudFormation
"""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import boto3
from werkzeug.serving import WSGIRequestHandler, make_server

from rios_plugin_awsbatch.local import LocalAWS
from tests.support import faults
from tests.support.helpers import Cloud, eventually

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
PROGRAMS = ("python", "rios-awsbatch-worker", "rios-awsbatch-main")


class BothFaults:
    """The switch of `Faults` for both: Batch's are the embedded AWS's, the others the proxy's."""

    def __init__(self, embedded, proxy):
        self._switches = {True: faults.Faults(embedded), False: faults.Faults(proxy)}
        self._kinds = []

    def set(self, *rules):
        self._kinds = [rule.service == "batch" for rule in rules]
        for kind, switch in self._switches.items():
            switch.set(*[rule for rule in rules if (rule.service == "batch") is kind])

    def counts(self):
        counts = {kind: iter(switch.counts()) for kind, switch in self._switches.items()}
        return [next(counts[kind]) for kind in self._kinds]

    def busy(self):
        return sum(switch.busy() for switch in self._switches.values())

    injected = faults.Faults.injected


@contextlib.contextmanager
def running(folder, workers):
    """Run both; give a `Cloud` and the switch of the faults."""
    with (
        _ministack(folder) as port,
        _proxy(port) as proxy,
        LocalAWS(
            workers=workers,
            stop_grace=2.0,
            activate=False,
            middleware="tests.support.faults:factory",
            worker_python=str(_programs(folder, _led_to(proxy))),
        ) as aws,
    ):
        aws.environment.update(_led_to(proxy))
        cloud = Cloud(aws)
        cloud.s3.create_bucket(
            Bucket=cloud.bucket,
            CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"},
        )
        yield cloud, BothFaults(aws.endpoint, proxy)


def _led_to(proxy):
    return {"AWS_ENDPOINT_URL_S3": proxy, "AWS_ENDPOINT_URL_SQS": proxy}


def _programs(folder, environment):
    """Make programs for jobs that go to the proxy; return the interpreter."""
    here = Path(sys.executable).parent
    for name in PROGRAMS:
        program = here / name if name != "python" else Path(sys.executable)
        exports = "".join(f"export {key}={value}\n" for key, value in environment.items())
        (folder / name).write_text(f'#!/bin/sh\n{exports}exec {program} "$@"\n')
        (folder / name).chmod(0o755)
    return folder / "python"


@contextlib.contextmanager
def _ministack(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0"}
    with (folder / "ministack.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env={**os.environ, **settings, "SERVICES": "s3,sqs"},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: _answers(port), (folder / "ministack.log").read_text)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(port):
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="ap-southeast-2",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    with contextlib.suppress(Exception):
        return client.list_buckets()


@contextlib.contextmanager
def _proxy(port):
    app = faults.factory(lambda environ, start: _forward(port, environ, start))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_given):
        pass


def _forward(port, environ, start_response):
    headers = {
        name[5:].replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in {"HTTP_CONNECTION", "HTTP_EXPECT"}
    }
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    body = environ["wsgi.input"].read()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with contextlib.closing(connection):
        connection.request(environ["REQUEST_METHOD"], environ["REQUEST_URI"], body, headers)
        answer = connection.getresponse()
        content = answer.read()
    kept = [(n, v) for n, v in answer.getheaders() if n.lower() not in HOP_BY_HOP]
    length = answer.getheader("Content-Length") or str(len(content))
    start_response(f"{answer.status} {answer.reason}", [*kept, ("Content-Length", length)])
    return [content]
