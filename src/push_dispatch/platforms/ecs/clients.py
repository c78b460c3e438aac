"""How does the platform reach AWS? One client per service, region and role."""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock
from typing import Any

from push_dispatch.platforms.aws import client_of, region_in, session_of
from push_dispatch.platforms.shared import Remembered

__all__ = ["Clients"]

#: Sessions make clients for one thread at a time; a role's needs one of STS.
_LOCK = RLock()


class Clients:
    """Clients of AWS, made when they are needed."""

    def __init__(self, environ: Mapping[str, str], read_seconds: float) -> None:
        self._environ = environ
        self._read_seconds = read_seconds
        self._clients = Remembered(self._client)

    @property
    def region(self) -> str:
        """The region of jobs that name none; empty if there is none."""
        return region_in(self._environ)

    def get(self, service: str, region: str, role: str = "") -> Any:
        """The client, as `role` (an ARN) if there is one. Making the first one of a service costs
        some 100 ms; the role is assumed at its first request."""
        with _LOCK:
            return self._clients[service, region, role]

    def _client(self, key: tuple[str, str, str]) -> Any:
        service, region, role = key
        session = session_of(self._environ)
        if role:
            session = _assumed(session, role, self.get("sts", region))
        wait = self._read_seconds
        return client_of(session, service, region, environ=self._environ, read_seconds=wait)


def _assumed(session: Any, role: str, sts: Any) -> Any:
    """A session as that role, whose credentials are renewed before they expire."""
    from botocore import credentials, session as core  # noqa: PLC0415

    fetcher = credentials.AssumeRoleCredentialFetcher(
        client_creator=lambda *_, **__: sts,
        source_credentials=session.get_credentials(),
        role_arn=role,
        extra_args={"RoleSessionName": "push-dispatch"},
    )
    renewed = credentials.DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    assumed = core.get_session()
    setattr(assumed, "_credentials", renewed)  # noqa: B010 - the SDK has no door for it
    return assumed
