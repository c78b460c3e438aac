"""The function URL of the report function, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from push_dispatch.local.serving import Serving

__all__ = ["ReportServer"]

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
#: Of a report; the real limit is Lambda's 6 MB.
_LARGEST = 10_000
_SECONDS = 30


class ReportServer(Serving):
    """Feeds HTTP requests to the handler as a function URL does."""

    def __init__(self, handler: Handler, port: int = 0) -> None:
        """Raises OSError if the port is taken; 0 is any."""
        super().__init__(_Server(("127.0.0.1", port), _serving(handler)))


class _Server(ThreadingHTTPServer):
    """Connections that are kept open do not keep the runtime from stopping."""

    daemon_threads = True


def _serving(handler: Handler) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: Of each read: whoever says nothing keeps no thread.
        timeout = _SECONDS

        def do_POST(self) -> None:
            if self._is_foreign():
                self.close_connection = True
                self.send_error(403, "jobs report here, web pages do not")
                return
            length = self.headers.get("Content-Length") or "0"
            if not length.isdecimal() or int(length) > _LARGEST:
                self.close_connection = True
                self.send_error(413 if length.isdecimal() else 400)
                return
            size = int(length)
            event = {
                "version": "2.0",
                "rawPath": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": self.rfile.read(size).decode("utf-8", "replace"),
                "isBase64Encoded": False,
            }
            answer = handler(event)
            body = str(answer["body"]).encode()
            self.send_response(int(answer["statusCode"]))
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _is_foreign(self) -> bool:
            """Whether a browser asks: jobs send no Origin, and the address that they were given."""
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            return "Origin" in self.headers or host not in ("127.0.0.1", "localhost")

        def log_message(self, format: str, *args: object) -> None:
            """The handler logs."""

    return Answering
