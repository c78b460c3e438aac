"""How does an HTTP server of the runtime wait? Until somebody connects: it never polls."""

from __future__ import annotations

from contextlib import suppress
from http.server import ThreadingHTTPServer
from socket import create_connection
from threading import Thread

__all__ = ["Serving"]


class Serving:
    """One server on loopback, and the thread that accepts its connections."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._stopping = False
        self._thread = Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no longer. Also if it was never started."""
        if self._thread.is_alive():
            self._stopping = True
            with suppress(OSError), create_connection(("127.0.0.1", self.port), 1):
                pass  # Wakes it.
            self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        """Not `serve_forever`, which wakes up again and again to see whether it may stop."""
        while not self._stopping:
            self._server.handle_request()
