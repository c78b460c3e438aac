"""How is an API of Google Cloud called over REST?

Its endpoint can be replaced by a variable of the environment: by https, or by http on loopback,
which goes without an access token where none is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.google.sign_in import SignIn
from push_dispatch.platforms.rest import Reply, Rest

__all__ = ["GoogleRest", "address", "authorization", "is_loopback", "signed_in"]

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class GoogleRest:
    """One API. A token that Google no longer takes is replaced, once: nothing was done without
    it, so this is no blind retry."""

    def __init__(
        self, environ: Mapping[str, str], sign_in: SignIn, variable: str, default: str
    ) -> None:
        """Raises Rejected if `variable` has no usable address."""
        url = address(environ, variable, default)
        self._sign_in = sign_in
        self._rest = Rest(url, lambda: authorization(environ, sign_in, variable))

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Reply:
        """See `Rest.call`, and what `SignIn.token` raises."""
        reply = self._rest.call(method, path, query=query, body=body)
        if reply.status == 401 and self._sign_in.configured:
            self._sign_in.forget()
            reply = self._rest.call(method, path, query=query, body=body)
        return reply


def authorization(environ: Mapping[str, str], sign_in: SignIn, variable: str) -> dict[str, str]:
    """The headers that say who we are."""
    if not sign_in.configured and is_loopback(environ.get(variable, "")):
        return {}
    return {"Authorization": f"Bearer {sign_in.token()}"}


def signed_in(environ: Mapping[str, str], sign_in: SignIn, variable: str) -> str:
    """As whom, after signing in anew; nobody does where no access token is sent. Raises what
    `SignIn.token` does."""
    if not sign_in.configured and is_loopback(environ.get(variable, "")):
        return f"nothing to check: {environ[variable]} is asked without signing in"
    return f"signed in to Google Cloud as {sign_in.anew()}"


def address(environ: Mapping[str, str], variable: str, default: str) -> str:
    """Where the API is. Raises Rejected."""
    url = environ.get(variable) or default
    parts = urlsplit(url)
    if not parts.netloc or not (parts.scheme == "https" or is_loopback(url)):
        raise Rejected(f"{variable} is {url!r}: it must be an https address, or http on loopback")
    return url


def is_loopback(url: str) -> bool:
    """Whether this is http on loopback."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
