"""How does a request of the client reach the API? In this process, over the table; or over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from push_dispatch.core.errors import Invalid, Unavailable
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    import boto3
    import urllib3

    from push_dispatch.ports import Ports

__all__ = ["Http", "InProcess", "Signer", "Transport", "bearer", "sigv4"]

#: Headers that let a request in, for its method, URL and body.
Signer = Callable[[str, str, bytes], Mapping[str, str]]
#: The longest reply: a long poll takes 20 seconds.
_SECONDS = 60.0


class Transport(Protocol):
    """Sends one request, and returns the status and the JSON of the reply. Raises Unavailable."""

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str],
    ) -> tuple[int, Any]: ...


class InProcess:
    """The API without a server: its table of routes, over these ports."""

    def __init__(self, ports: Ports) -> None:
        """Raises Invalid if the extra `api` is not installed."""
        try:
            from push_dispatch.api.v1 import TABLE, Request  # noqa: PLC0415 - by who needs it
        except ModuleNotFoundError as error:
            problem = f"{error.name} is not installed: pip install 'push-dispatch[api]'"
            raise Invalid(problem, reason=Reason.PLATFORM_NOT_INSTALLED) from error
        self._table, self._request, self._ports = TABLE, Request, ports

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str],
    ) -> tuple[int, Any]:
        """See `Transport`."""
        request = self._request(
            method,
            path,
            {name: tuple(_texts(value)) for name, value in query.items()},
            {name.lower(): value for name, value in headers.items()},
            _encoded(body),
        )
        reply = self._table.answer(self._ports, request)
        return reply.status, reply.json


class Http:
    """The API behind a URL, which may end in a stage."""

    def __init__(self, url: str, sign: Signer) -> None:
        self.url = url
        self._sign = sign
        self._pool: urllib3.PoolManager | None = None

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str],
    ) -> tuple[int, Any]:
        """See `Transport`."""
        from urllib.parse import urlencode  # noqa: PLC0415 - importing the package costs little

        import urllib3  # noqa: PLC0415

        if self._pool is None:
            # A read may be sent again; what changes something only as far as nothing was sent.
            retries = urllib3.Retry(total=4, connect=4, read=2, status=3, backoff_factor=0.2)
            retries.status_forcelist = {502, 503, 504}
            retries.raise_on_status = False
            self._pool = urllib3.PoolManager(retries=retries, timeout=_SECONDS)
        given = [(name, text) for name, value in query.items() for text in _texts(value)]
        url = self.url.rstrip("/") + path + (f"?{urlencode(given)}" if given else "")
        content = _encoded(body)
        sent = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        sent |= self._sign(method, url, content)
        try:
            reply = self._pool.request(method, url, body=content or None, headers=sent)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self.url} cannot be reached: {error}") from error
        return reply.status, _decoded(reply.data)


def bearer(token: str) -> Signer:
    """Let requests in by a token."""
    return lambda _method, _url, _body: {"Authorization": f"Bearer {token}"}


def sigv4(session: boto3.Session, url: str) -> Signer:
    """Sign requests with the credentials of a session, for a function URL or an HTTP API."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - importing the package costs little

    service = "lambda" if ".lambda-url." in (urlsplit(url).hostname or "") else "execute-api"

    def sign(method: str, target: str, body: bytes) -> Mapping[str, str]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - see above
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        credentials = session.get_credentials()
        if credentials is None:
            raise Invalid("there are no AWS credentials to sign with", reason=Reason.NO_BACKEND)
        request = AWSRequest(method, target, data=body or None)
        SigV4Auth(credentials, service, session.region_name).add_auth(request)
        return dict(request.headers.items())

    return sign


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in values]


def _encoded(body: Any) -> bytes:
    """Raises Invalid if JSON cannot express the body."""
    import json  # noqa: PLC0415 - importing the package costs little

    if body is None:
        return b""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"the request cannot be expressed in JSON: {error}") from error


def _decoded(data: bytes) -> Any:
    import json  # noqa: PLC0415 - importing the package costs little

    try:
        return json.loads(data) if data else None
    except ValueError:
        return None  # What stands in front of the API has its own words.
