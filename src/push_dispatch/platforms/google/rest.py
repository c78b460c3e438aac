"""How is an API of Google Cloud called over REST?

Its endpoint can be replaced by a variable of the environment: by https, or by http on loopback,
which goes without an access token where none is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.google.sign_in import SignIn
from push_dispatch.platforms.rest import Reply, Rest

__all__ = ["Endpoint", "GoogleRest"]

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API is, and who asks it."""

    environ: Mapping[str, str] = field(repr=False)
    sign_in: SignIn
    #: What replaces the default address.
    variable: str
    default: str = ""

    @property
    def url(self) -> str:
        """Its address. Raises Rejected."""
        url = self._own or self.default
        parts = urlsplit(url)
        if not parts.netloc or not (parts.scheme == "https" or _is_loopback(url)):
            raise Rejected(
                f"{self.variable} is {url!r}: it must be an https address, or http on loopback"
            )
        return url

    @property
    def _own(self) -> str:
        return self.environ.get(self.variable, "")

    @property
    def _is_open(self) -> bool:
        return not self.sign_in.configured and _is_loopback(self._own)

    def headers(self) -> dict[str, str]:
        """Say who we are. Raises what `SignIn.token` does."""
        return {} if self._is_open else {"Authorization": f"Bearer {self.sign_in.token()}"}

    def signed_in(self) -> str:
        """As whom, after signing in anew; nobody does where no access token is sent. Raises what
        `SignIn.token` does."""
        if self._is_open:
            return f"nothing to check: {self._own} is asked without signing in"
        return f"signed in to Google Cloud as {self.sign_in.anew()}"


class GoogleRest:
    """One API. A token that Google no longer takes is replaced, once: nothing was done without
    it, so this is no blind retry."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Raises Rejected if the endpoint has no usable address."""
        self._sign_in = endpoint.sign_in
        self._rest = Rest(endpoint.url, endpoint.headers)

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Reply:
        """See `Rest.call`, and what `SignIn.token` raises."""
        reply = self._rest.call(method, path, query=query, body=body)
        if reply.status == 401 and self._sign_in.configured:
            self._sign_in.forget()
            reply = self._rest.call(method, path, query=query, body=body)
        return reply


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
