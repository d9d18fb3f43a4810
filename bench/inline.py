"""CPU of main for a task whose arguments and result are in messages, or in S3: where they cross.

Run by hand: ``python bench/inline.py``. It measures the CPU time of this process alone, which
other load on the machine hardly changes; a process beside it answers in AWS's place at once.
"""

import http.server
import multiprocessing
import os
import re
import statistics
import time

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.records import Measured
from rios_plugin_awsbatch.wire.exchange import connect
from rios_plugin_awsbatch.wire.messages import Measures, Result, RunKey

KIB = 1024
SIZES = [size * KIB for size in (64, 96, 128, 160, 192, 224, 256, 320, 384, 512, 720)]
TASKS, ROUNDS = 12, 5
# USD in us-east-1 in 2026: a request of SQS's per 64 KiB; a PUT and a GET of S3's.
SQS, PUT, GET = 0.40e-6, 5.0e-6, 0.4e-6


class Answers(http.server.BaseHTTPRequestHandler):
    """Keeps what was sent last, and gives it back."""

    protocol_version = "HTTP/1.1"
    message = stored = b""

    def _read(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"etag"')
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body, cls = self._read(), type(self)
        if self.headers["X-Amz-Target"].endswith("SendMessageBatch"):
            cls.message = re.search(rb'"MessageBody": ?("(?:[^"\\]|\\.)*")', body).group(1)
            answer = b'{"Successful": [{"Id": "0"}], "Failed": []}'
        else:
            answer = b'{"Messages": [{"ReceiptHandle": "r", "MessageId": "m", "Body": %s}]}'
            answer %= cls.message
        self._answer(answer, "application/x-amz-json-1.0")

    def do_PUT(self):
        body = self._read()
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            head, _, rest = body.partition(b"\r\n")
            body = rest[: int(head.partition(b";")[0], 16)]
        type(self).stored = body
        self._answer(b"", "application/xml")

    def do_GET(self):
        self._answer(self.stored, "binary/octet-stream")

    def log_message(self, *_):
        pass


def serve(pipe):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    pipe.send(server.server_port)
    server.serve_forever()


def carried(exchange, data):
    """Send a payload, and receive one of the same size: what main does for a task."""
    packed = exchange.pack(data, "tasks/1")
    measures = Measures(attempt=1, bytes_in=1, bytes_out=1, measured=Measured())
    message = Result(
        task=1, worker="w", requests=1, measures=measures, payload=packed, libraries={}
    )
    exchange.tasks.send([exchange.encode(message)])
    (received,) = exchange.results.receive(1, wait=0, visibility=60)
    assert exchange.unpack(exchange.decode(received.body).payload) == data


def cpu(exchange, data):
    """Return the CPU milliseconds of a task."""
    begun = time.process_time()
    for _ in range(TASKS):
        carried(exchange, data)
    return 1000 * (time.process_time() - begun) / TASKS


def dollars_per_million(size, *, inline):
    """Return what SQS and S3 cost for a million tasks with so many bytes each way."""
    message = size * 4 / 3 + 2 * KIB if inline else 2 * KIB
    requests = 4 * -(-message // (64 * KIB))  # a send and a receive, each way
    return 1e6 * (requests * SQS + (0 if inline else 2 * (PUT + GET)))


def main():
    """Print a table."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    endpoint = f"http://127.0.0.1:{ours.recv()}"
    given = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}
    os.environ.update(given)
    clients = Clients("us-east-1")
    exchanges = {
        inline: connect(
            clients,
            tasks=f"{endpoint}/1/q",
            results=f"{endpoint}/1/q",
            bucket="bucket",
            key=RunKey("run", "00" * 32),
            inline_limit=10**9 if inline else 0,
            renewal=Renewal(0, ""),
        )
        for inline in (True, False)
    }
    measured = {}
    for _ in range(ROUNDS):  # both kinds in turn: what else the machine does changes slowly
        for size in SIZES:
            for inline, exchange in exchanges.items():
                measured.setdefault((size, inline), []).append(cpu(exchange, os.urandom(size)))
    print("KiB each way   CPU ms inline   CPU ms S3   $ per million inline   $ per million S3")
    for size in SIZES:
        inline, stored = (statistics.median(measured[size, kind]) for kind in (True, False))
        costs = [dollars_per_million(size, inline=kind) for kind in (True, False)]
        cpu_times = f"{size // KIB:12}   {inline:13.1f}   {stored:9.1f}"
        print(f"{cpu_times}   {costs[0]:20.2f}   {costs[1]:16.2f}")
    server.terminate()


if __name__ == "__main__":
    main()
