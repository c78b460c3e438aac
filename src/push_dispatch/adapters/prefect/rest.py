"""How is a request sent to a Prefect server, and when is it sent again?

urllib3 with explicit timeouts. A busy server answers 503 without a hint when to come back: such an
answer is tried again at once, a few times. A server that is down, restarting or under maintenance
is left alone: the caller comes back later. What is written carries a transition id, so that
sending it again is safe.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from push_dispatch.core.errors import Refused, Unavailable
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.prefect import Overloaded

__all__ = ["Reply", "Rest"]

_CONNECT_SECONDS, _READ_SECONDS = 3.0, 15.0
#: Tries of a request that a busy server did not take, the pause before the second one, and the
#: longest; together less than ten seconds.
_TRIES, _PAUSE_SECONDS, _LONGEST_SECONDS = 6, 0.3, 3.0
_BUSY = frozenset({429, 502, 503, 504})
#: An answer larger than that is none of the API's: 200 runs of 100 KB each.
_MOST_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that is not an error of the server."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a JSON value. Raises Unavailable if it is none: a proxy's page."""
        try:
            return json.loads(self.body)
        except ValueError:
            text = self.body[:200].decode("utf-8", "replace")
            raise Unavailable(
                f"the answer is not Prefect's API: {text!r}", reason=Reason.PREFECT_UNAVAILABLE
            ) from None

    @property
    def detail(self) -> str:
        """What the server says is wrong, in at most 500 characters."""
        text = self.body[:2000].decode("utf-8", "replace")
        try:
            found = json.loads(self.body)
            text = str(found.get("detail") or found.get("exception_message") or text)
        except (ValueError, AttributeError):
            pass
        return text[:500]


@dataclass
class Rest:
    """One API at one address."""

    base_url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None
    pause: Callable[[float], None] = time.sleep
    wall: Callable[[], float] = time.time
    requests: int = 0
    _csrf: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options: dict[str, Any] = {"ssl_context": self.tls} if self.tls else {}
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            retries=False,
            maxsize=4,
            **options,
        )

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        """Send a request, again if the server is busy; return what is not an error of the server.

        Raises Unavailable (`prefect_unavailable`), Overloaded if the server says when to come
        back, Refused (`prefect_denied`) for credentials that it refuses.
        """
        for tries in range(1, _TRIES + 1):
            reply, headers = self._send(method, path, body)
            if reply.status == 403 and "CSRF" in reply.detail and tries < _TRIES:
                self._renew_csrf()
                continue
            if reply.status not in _BUSY:
                return self._checked(reply, path)
            after = _after(headers, self.wall())
            if tries == _TRIES or headers.get("Prefect-Maintenance") or (after or 0) > 1:
                message = f"{self.base_url} answers {reply.status}: {reply.detail}"
                raise Overloaded(message, after_seconds=after)
            pause = min(_LONGEST_SECONDS, _PAUSE_SECONDS * 2 ** (tries - 1))
            self.pause(max(pause, after or 0))
        raise AssertionError

    def _send(self, method: str, path: str, body: Any) -> tuple[Reply, Mapping[str, str]]:
        sent = {"Accept": "application/json", **self.headers, **self._csrf}
        payload = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            payload = json.dumps(body).encode()
        try:
            try:
                got = self._request(method, path, payload, sent)
            except ProtocolError:
                # A kept connection that the server has closed meanwhile: once more, on a new one.
                got = self._request(method, path, payload, sent)
        except HTTPError as error:
            raise Unavailable(
                f"Prefect's API at {self.base_url} cannot be reached: {error}",
                reason=Reason.PREFECT_UNAVAILABLE,
            ) from error
        return Reply(got.status, got.data[:_MOST_BYTES]), got.headers

    def _request(
        self, method: str, path: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        self.requests += 1
        url = self.base_url + path
        return self._http.request(method, url, body=payload, headers=headers, redirect=False)

    def _checked(self, reply: Reply, path: str) -> Reply:
        """The reply, unless it says that we may not, or that the server has failed."""
        if reply.status in (401, 403):
            raise Refused(
                f"Prefect's API at {self.base_url} refuses the credentials: {reply.detail}",
                reason=Reason.PREFECT_DENIED,
            )
        if reply.status >= 500 or 300 <= reply.status < 400:
            raise Unavailable(
                f"{self.base_url}{path} answers {reply.status}: {reply.detail}",
                reason=Reason.PREFECT_UNAVAILABLE,
            )
        return reply

    def _renew_csrf(self) -> None:
        """A server with CSRF protection wants a token of its own for each client."""
        client = str(uuid4())
        reply, _ = self._send("GET", f"/csrf-token?client={client}", None)
        # Before credentials are checked it says 403 for lack of a token; here it says so itself.
        token = self._checked(reply, "/csrf-token").json.get("token", "")
        self._csrf = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}


def _after(headers: Mapping[str, str], wall: float) -> float | None:
    """How many seconds the server wants us to wait: it may say so in seconds or as a date."""
    after = headers.get("Retry-After", "").strip()
    if not after:
        return None
    try:
        return max(0.0, float(after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - wall)
    except (ValueError, TypeError):
        return None
