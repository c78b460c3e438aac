"""How does the platform reach Modal? The messages and the stub of Modal's client, on a channel that
waits and repeats nothing by itself: the client retries for minutes, and a throttled call for ever.

    MODAL_SERVER_URL     replaces https://api.modal.com, as for Modal's own client
    MODAL_TOKEN_ID, MODAL_TOKEN_SECRET    who we are, or
    PUSH_DISPATCH_MODAL_TOKEN_NAME        the name of a secret {"token_id": …, "token_secret": …}
    MODAL_ENVIRONMENT    for workspaces with several
"""

from __future__ import annotations

import base64
import json
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from modal_proto import api_pb2, api_pb2_grpc

from push_dispatch.core.errors import Rejected
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.channel import Channel
from push_dispatch.platforms.rest import READ_SECONDS
from push_dispatch.platforms.shared import no_credentials, secret_named
from push_dispatch.ports.secrets import Secrets

__all__ = ["Clients"]

if "include_terminated" not in api_pb2.SandboxGetFromNameRequest.DESCRIPTOR.fields_by_name:
    # Its stubs are no public interface: an older client lacks what a push asks for.
    raise ImportError(f"modal {version('modal')} is too old: 1.6.3 or later is needed")

_NAME = "PUSH_DISPATCH_MODAL_TOKEN_NAME"
#: An auth token is replaced so long before it expires.
_MARGIN_SECONDS = 60


class Clients:
    """Asks, with a time-out and once."""

    def __init__(
        self, environ: Mapping[str, str], secrets: Secrets, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives epoch seconds."""
        self._environ = environ
        self._secrets = secrets
        self._clock = clock
        url = environ.get("MODAL_SERVER_URL") or "https://api.modal.com"
        self._channel = Channel(lambda: url, clock)
        self._headers: list[tuple[str, str]] = []
        self._token = ""
        self._expires = 0.0

    @property
    def environment(self) -> str:
        """Modal's, empty for the workspace's default."""
        return self._environ.get("MODAL_ENVIRONMENT", "")

    def ask(self, method: str, request: Any) -> Any:
        """The answer to `request`. Raises grpc.RpcError, and Rejected without credentials."""
        stub = api_pb2_grpc.ModalClientStub(self._channel.open())
        metadata = [*self._metadata(), ("x-modal-auth-token", self._auth_token(stub))]
        return getattr(stub, method)(request, timeout=READ_SECONDS, metadata=metadata)

    def sign_in(self) -> Any:
        """The workspace of the credentials, which are read anew; on a channel of its own. Raises
        as `ask`."""
        fresh = Clients(self._environ, self._secrets, self._clock)
        try:
            return fresh.ask("WorkspaceNameLookup", Empty())
        finally:
            fresh._channel.close()

    def _auth_token(self, stub: Any) -> str:
        """Of the sandboxes' API; good for some minutes."""
        if self._clock() > self._expires - _MARGIN_SECONDS:
            answer = stub.AuthTokenGet(
                api_pb2.AuthTokenGetRequest(), timeout=READ_SECONDS, metadata=self._metadata()
            )
            self._token, self._expires = answer.token, _expiry(answer.token, self._clock())
        return self._token

    def _metadata(self) -> list[tuple[str, str]]:
        if not self._headers:
            token_id, token_secret = self._credentials()
            system = f"{platform.system()}-{platform.release().replace('-', '_')}"
            self._headers = [
                ("x-modal-client-version", version("modal")),
                ("x-modal-client-type", str(api_pb2.CLIENT_TYPE_CLIENT)),
                ("x-modal-python-version", platform.python_version()),
                ("x-modal-platform", quote(f"{system}-{platform.machine()}")),
                ("x-modal-token-id", token_id),
                ("x-modal-token-secret", token_secret),
            ]
        return self._headers

    def _credentials(self) -> tuple[str, str]:
        pair = self._environ.get("MODAL_TOKEN_ID"), self._environ.get("MODAL_TOKEN_SECRET")
        if pair[0] and pair[1]:
            return pair[0], pair[1]
        name = self._environ.get(_NAME)
        if not name:
            raise no_credentials(
                f"nothing says who this function is at Modal: set {_NAME}, or MODAL_TOKEN_ID and "
                "MODAL_TOKEN_SECRET"
            )
        value = secret_named(self._secrets, self._environ, _NAME)
        try:
            found = json.loads(value)
            return str(found["token_id"]), str(found["token_secret"])
        except KeyError as error:
            raise Rejected(
                f"{_NAME}: secret {name!r} has no {error}", reason=Reason.SECRET_UNAVAILABLE
            ) from error
        except (ValueError, TypeError):
            raise no_credentials(
                f'{_NAME}: secret {name!r} must be {{"token_id": …, "token_secret": …}}'
            ) from None


def _expiry(token: str, now: float) -> float:
    """When a JWT expires; without saying so, in twenty minutes."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError):
        return now + 1200
