"""What do the fakes of HTTP APIs have in common? A server on loopback or on a unix socket that
can lose replies, throttle and refuse, and that counts what it is asked."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


class RestServer:
    """One fake API. A subclass answers; it is only ever asked by one thread at a time."""

    def __init__(self, unix_socket: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.lock = threading.RLock()
        self.received: list[Request] = []
        self._lost: set[int] = set()
        self._planned: list[tuple[Callable[[Request], bool], Answer]] = []
        self._connections: set[socket.socket] = set()
        self._server = _server(self, unix_socket, tls)
        self._tls = tls is not None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    # -- what a subclass says --------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def throttled(self) -> Answer:
        """The API's own 'too many requests'."""
        raise NotImplementedError

    # -- faults ----------------------------------------------------------------------------------

    def calls(self) -> int:
        return len(self.received)

    def lose_reply(self, call: int = 0) -> None:
        with self.lock:
            self._lost.add(len(self.received) + call)

    def throttle_next(self) -> None:
        self.refuse_next(self.throttled())

    def refuse_next(self, answer: Answer, method: str = "", path: str = "") -> None:
        """Answer the next request (of that method, to a path that contains this) so, and do
        nothing."""
        with self.lock:
            self._planned.append((lambda r: r.method.startswith(method) and path in r.path, answer))

    # -- life ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        address: Any = self._server.server_address
        host, port = address[:2]
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        with self.lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    # -- one request -----------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | None:
        """The answer; None if it is to be lost."""
        with self.lock:
            call = len(self.received)
            self.received.append(request)
            for plan in self._planned:
                if plan[0](request):
                    self._planned.remove(plan)
                    return plan[1]
            answer = self.answer(request)
            if call in self._lost:
                return None
            return answer


def _server(
    fake: RestServer, unix_socket: str | None, tls: ssl.SSLContext | None
) -> socketserver.BaseServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        # Head and body in one packet, and at once: else they wait 40 ms for each other, and for
        # the client to acknowledge what TLS sends after its handshake.
        wbufsize = -1
        disable_nagle_algorithm = unix_socket is None

        def setup(self) -> None:
            super().setup()
            with fake.lock:
                fake._connections.add(self.connection)

        def finish(self) -> None:
            with fake.lock:
                fake._connections.discard(self.connection)
            with contextlib.suppress(OSError):
                super().finish()

        def _serve(self) -> None:
            answer = fake.handle(self._read())
            if answer is None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = answer.content
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            if answer.status not in {204, 304}:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if answer.status not in {204, 304}:
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

        def _read(self) -> Request:
            parts = urlsplit(self.path)
            query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = self._chunks()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            return Request(self.command, unquote(parts.path), query, headers, body)

        def _chunks(self) -> bytes:
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        def address_string(self) -> str:
            return "client"

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet:
        daemon_threads = False
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no error of the fake."""

    if unix_socket is not None:
        unix = type("Unix", (Quiet, socketserver.ThreadingUnixStreamServer), {})
        made: socketserver.BaseServer = unix(unix_socket, Handler)
        return made
    tcp = type("Tcp", (Quiet, socketserver.ThreadingTCPServer), {})
    made = tcp(("127.0.0.1", 0), Handler)
    if tls is not None:
        made.socket = tls.wrap_socket(made.socket, server_side=True)  # type: ignore[attr-defined]
    return made
