"""How is a JSON API called when its official client is too heavy for a function?

urllib3 with explicit timeouts, without retries and without redirects: what is sent again is
decided by whoever knows whether that is safe.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from push_dispatch.core.errors import PlatformError, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.refusals import Refusals
from push_dispatch.platforms.shared import lines

__all__ = ["CONNECT_SECONDS", "READ_SECONDS", "Reply", "Rest", "answered", "found"]

CONNECT_SECONDS = 3.0
#: A push makes a few requests and is to take a few seconds.
READ_SECONDS = 8.0
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, good or bad."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body as a JSON value; an empty object if it is none (a proxy's HTML page)."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    @property
    def text(self) -> str:
        """The body as text, at most its first 500 characters."""
        return self.body[:2000].decode("utf-8", "replace")[:500]

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server wants us to wait, if it said so in seconds."""
        after = self.headers.get("Retry-After", "")
        return float(after) if after.isdigit() else None


def found(reply: Reply, refusals: Refusals[Reply], what: str = "") -> Any:
    """The JSON that answers a question; None if what it is about is not there (any more). Raises
    Throttled or Uncertain if it was refused."""
    if reply.ok:
        return reply.json
    if refusals.gone(reply):
        return None
    raise refusals.uncertain(reply, what)


def answered(reply: Reply, fail: Callable[[Reply], PlatformError]) -> Any:
    """The JSON of an answer; raises what `fail` makes of a refusal, such as `REFUSALS.error`."""
    if not reply.ok:
        raise fail(reply)
    return reply.json


class Rest:
    """One API at one address."""

    def __init__(
        self,
        base_url: str,
        headers: Callable[[], Mapping[str, str]],
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> None:
        """`headers` is asked at every request, so that credentials may be refreshed.

        `server_hostname` is the name on the certificate, where that is not the one called.
        """
        self.base_url = base_url.rstrip("/")
        self._headers = headers
        options: dict[str, Any] = {"ssl_context": tls} if tls else {}
        if server_hostname:
            options |= {"server_hostname": server_hostname, "assert_hostname": server_hostname}
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=False,
            **options,
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The answer, whatever its status. `body` is bytes, or a value that is sent as JSON.

        Raises Uncertain: `platform_unavailable` if the request was certainly not sent,
        `push_uncertain` if it may have been.
        """
        response = self._send(method, path, query, body, headers)
        return Reply(response.status, response.headers, response.data)

    def lines(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[str] | Reply:
        """The lines of a long text as they arrive, or the answer if it is a refusal.

        Raises Uncertain, also while iterating.
        """
        response = self._send("GET", path, query, preload_content=False)
        if response.status >= 400:
            return Reply(response.status, response.headers, response.read())
        return _lines(response)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> urllib3.BaseHTTPResponse:
        sent = {"Accept": "application/json", **self._headers(), **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        url = self.base_url + path
        if query:
            url += "?" + urlencode(query)
        try:
            return self._http.request(
                method, url, body=body, headers=sent, redirect=False, **options
            )
        except (NewConnectionError, ConnectTimeoutError, SSLError) as error:
            message = f"{self.base_url} cannot be reached: {error}"
            raise Uncertain(message, reason=Reason.PLATFORM_UNAVAILABLE) from error
        except HTTPError as error:
            raise Uncertain(f"{method} {url} was not answered: {error}") from error


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    try:
        yield from lines(response.stream(_CHUNK))
    except HTTPError as error:
        raise Uncertain(f"the log broke off: {error}") from error
    finally:
        response.release_conn()
