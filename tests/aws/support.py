"""A server on this machine that answers in AWS's place, as a test orders."""

import contextlib
import http.server
import threading

__all__ = ["Answer", "Answers", "serving"]


class Answer:
    """What the server answers.

    Args:
        body: The body.
        status: The HTTP status.
        kind: The content type.
        headers: Further headers.
    """

    def __init__(self, body=b"", status=200, kind="application/json", headers=()):
        self.body, self.status, self.kind, self.headers = body, status, kind, dict(headers)


class Answers:
    """The answers to come: each is given once, the last one again and again."""

    def __init__(self):
        self._changing = threading.Lock()  # guards `_answers` and `_asked`
        self._answers = [Answer()]
        self._asked = []

    def set(self, *answers):
        """Order answers, and forget what has been asked."""
        with self._changing:
            self._answers, self._asked = list(answers), []

    @property
    def asked(self):
        """The methods and paths of all requests."""
        with self._changing:
            return list(self._asked)

    def next(self, request):
        with self._changing:
            self._asked.append(request)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.answers.next(f"{self.command} {self.path}")
        self.send_response(answer.status)
        headers = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body))}
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """Serve; yield the endpoint and the answers to come."""
    answers = Answers()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.answers = True, answers
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
