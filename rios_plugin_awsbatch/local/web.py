"""HTTP: connections that stay open, one packet per answer, and silence unless moto fails.

Each connection has a thread of its own.
"""

import io
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from .options import SERVER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["loopback_server", "reporting"]

_BODILESS: Final = {204, 304}  # status codes of answers without a body
_OWN_HEADERS: Final = {"connection", "content-length", "date", "server", "transfer-encoding"}


class _Handler(MotoRequestHandler):
    """Same as moto's, but connections stay open; werkzeug closes them after each request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def run_wsgi(self) -> None:
        self.environ = environ = self.make_environ()
        # Read all of it, so that the next request is next, however much the application reads.
        chunked = environ.get("wsgi.input_terminated", False)
        length = -1 if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        status, headers = "", list[tuple[str, str]]()

        def start_response(*given: Any) -> Any:
            nonlocal status, headers
            # Nothing has been sent yet: if there is a second call, after an error, it counts.
            status, headers = given[:2]

        body = _joined(self.server.app(environ, start_response))
        self._send(status, headers, body)

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response_only(int(code), phrase)
        # As AWS does; clients correct their clocks by it.
        self.send_header("Date", self.date_time_string())
        self.send_header("Server", SERVER)
        head = self.command == "HEAD"
        for name, value in headers:
            if head or name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        if not head and int(code) not in _BODILESS:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not head:
            self.wfile.write(body)


def _joined(chunks: Iterable[bytes]) -> bytes:
    try:
        return b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


def reporting(app: "WSGIApplication") -> "WSGIApplication":
    """Return the application, made to print any exception of its own and answer with a 500."""

    def reported(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception:  # noqa: BLE001 - any failure of moto's
            traceback.print_exc()
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"The embedded AWS failed; the traceback is on standard error."]

    return reported


def loopback_server() -> BaseWSGIServer:
    """Return a server on a free port of 127.0.0.1, not yet serving and without its application."""
    nothing: Any = None
    return make_server("127.0.0.1", 0, nothing, threaded=True, request_handler=_Handler)
