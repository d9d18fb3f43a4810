"""The HTTP side of the embedded AWS: keep-alive, one packet per answer, and quiet unless moto fails."""

import io
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["loopback_server", "reporting"]

_BODILESS = {204, 304}


class _Handler(MotoRequestHandler):
    """Same as moto's, but the connection stays open: werkzeug's own closes it after every request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def run_wsgi(self) -> None:
        self.environ = environ = self.make_environ()
        # Reading all of it leaves the stream at the next request, whatever the application reads.
        chunked = environ.get("wsgi.input_terminated", False)
        length = -1 if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        status, headers = "", list[tuple[str, str]]()

        def start_response(*given: Any) -> Any:
            nonlocal status, headers
            # Nothing has been sent yet, so that a second start after an error simply counts.
            status, headers = given[:2]

        body = _joined(self.server.app(environ, start_response))
        self._send(status, headers, body)

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response_only(int(code), phrase)
        self.send_header(
            "Date", self.date_time_string()
        )  # as AWS does: a client's own clock may be wrong
        head = self.command == "HEAD"
        for name, value in headers:
            if head or name.lower() not in {
                "content-length",
                "connection",
                "transfer-encoding",
                "date",
            }:
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
    """Return the application with every exception that escapes it printed and answered with a 500."""

    def reported(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception:  # noqa: BLE001 - whatever it was, the client gets an answer and the user a traceback
            traceback.print_exc()
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"The embedded AWS failed; its traceback is on standard error."]

    return reported


def loopback_server(app: "WSGIApplication") -> BaseWSGIServer:
    """Return a server of the application on a free port of 127.0.0.1, not yet serving."""
    return make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Handler)
