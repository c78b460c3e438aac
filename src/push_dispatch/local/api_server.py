"""Who may use the HTTP API on loopback? Whoever has the runtime's token, and no other web site."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from push_dispatch.api.gateway import query_of
from push_dispatch.api.v1 import Reply, Request, problem
from push_dispatch.core.reasons import Reason
from push_dispatch.local.serving import Serving

__all__ = ["ApiServer"]

Handler = Callable[[Request], Reply]
#: What is served without a token: a page, which then needs one for everything that it shows.
Pages = Callable[[str], Reply | None]

#: Of a body, as behind Lambda.
_LARGEST = 6_000_000
#: Of each read, in seconds: whoever says nothing keeps no thread.
_SILENCE = 60
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class ApiServer(Serving):
    """Serves requests that carry `Authorization: Bearer TOKEN`, on 127.0.0.1."""

    def __init__(
        self, handler: Handler, token: str, port: int = 0, pages: Pages = lambda _path: None
    ) -> None:
        """Raises OSError if the port is taken; 0 is any."""
        self.token = token
        super().__init__(_Server(("127.0.0.1", port), _serving(handler, token, pages)))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


class _Server(ThreadingHTTPServer):
    """Connections that are kept open do not keep the runtime from stopping."""

    daemon_threads = True
    #: Of connections that are not accepted yet: a page opens many at once.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news."""


def _serving(handler: Handler, token: str, pages: Pages) -> type[BaseHTTPRequestHandler]:
    expected = f"Bearer {token}".encode()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SILENCE

        def __getattr__(self, name: str) -> Any:
            """Whatever the method is, the API says which ones it takes."""
            if name.startswith("do_"):
                return self._serve
            raise AttributeError(name)

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            refused = self._refused(path)
            # Read in any case: the next request of the connection begins behind it.
            body = self._body()
            if body is None:
                self.close_connection = True
                self._send(
                    problem(413, Reason.INVALID_INPUT, f"the body has more than {_LARGEST} B")
                )
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, path, query_of(query), headers, body)
            self._send(refused or pages(path) or handler(request))

        def _refused(self, path: str) -> Reply | None:
            """Why this is not answered: a browser would send it for any web site."""
            host = self.headers.get("Host", "")
            name = host.rpartition(":")[0] or host
            if name not in _LOCAL:
                return problem(
                    403, Reason.FOREIGN_ORIGIN, f"the host {host[:80]!r} is not this machine"
                )
            origin = self.headers.get("Origin")
            if origin is not None and origin != f"http://{host}":
                return problem(
                    403, Reason.FOREIGN_ORIGIN, f"the origin {origin[:80]!r} is another one"
                )
            given = self.headers.get("Authorization", "").encode()
            if hmac.compare_digest(given, expected) or pages(path) is not None:
                return None
            headers = {"WWW-Authenticate": "Bearer"}
            return problem(401, Reason.UNAUTHENTICATED, "there is no valid token", headers)

        def _body(self) -> bytes | None:
            """None if it is too long, or nothing says how long it is."""
            if self.headers.get("Transfer-Encoding"):
                return None
            length = self.headers.get("Content-Length") or "0"
            if not length.isdecimal() or int(length) > _LARGEST:
                return None
            return self.rfile.read(int(length))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            """The handlers log."""

    return Answering
