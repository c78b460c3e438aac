"""Who may talk to the emulator? Whoever knows its key, and no web page.

The emulator takes every request, whoever signs it, and tells browsers that they may read its
answers: a page could put a run into the table, which executes a command. So nothing reaches it that
does not name the runtime's own key in its signature; that key is in a file of the owner alone.
Executed in the emulator's process: `python -m push_dispatch.local.guard`.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

__all__ = ["KEY_VARIABLE", "Guard", "bearer"]

#: How the child learns the key: arguments are for everybody to read, the environment is not.
KEY_VARIABLE = "PUSH_DISPATCH_EMULATOR_KEY"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Of a signature, version 4: the access key, then date, region and service.
_CREDENTIAL = re.compile(rb"AWS4-HMAC-SHA256 +Credential=([^/,\s]+)/")
_LOOPBACK = (b"127.0.0.1", b"localhost")
_WHY = b"this emulator belongs to a local runtime: sign with the access key of `local ls --json`"


def bearer(key: str) -> str:
    """The `Authorization` of a request that nobody signs, such as the one after its health."""
    return f"AWS4-HMAC-SHA256 Credential={key}/none"


class Guard:
    """An ASGI application before another one. Lets pass what is signed with the access key, and
    neither comes from a web page nor was sent to another name than this machine's own."""

    def __init__(self, app: App, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the start and the end of the server."""
        if scope["type"] == "lifespan" or self._passes(scope.get("headers", ())):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _refuse(send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _passes(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            given.setdefault(name.lower(), []).append(value)
        if b"origin" in given:
            return False  # Only browsers send it, and no page has any business here.
        hosts, signatures = given.get(b"host", []), given.get(b"authorization", [])
        if len(hosts) != 1 or len(signatures) != 1 or _name(hosts[0]) not in _LOOPBACK:
            return False  # A name that a page has pointed at this machine, perhaps.
        signed = _CREDENTIAL.match(signatures[0])
        return signed is not None and hmac.compare_digest(signed[1], self._key)


def _name(host: bytes) -> bytes:
    return host.rpartition(b":")[0] or host


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(_WHY)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": _WHY})


def main() -> None:
    """Serve the emulator behind the guard."""
    from ministack import app as emulator  # noqa: PLC0415 - comes with the extra `emulator`

    key = os.environ.pop(KEY_VARIABLE)
    emulator.app = Guard(emulator.app, key)
    emulator.main()


if __name__ == "__main__":
    main()
