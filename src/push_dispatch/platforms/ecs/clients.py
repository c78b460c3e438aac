"""How does the platform reach AWS? One boto3 client per service and region, made when needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from threading import RLock
from typing import Any

__all__ = ["Clients"]

_CONNECT_SECONDS = 2


class Clients:
    """boto3 clients that neither wait long nor send anything twice by themselves.

    Credentials, region, profile and endpoints are those that `environ` names as the AWS CLI does;
    what it does not name, boto3 looks for in its usual places.
    """

    def __init__(self, environ: Mapping[str, str], read_seconds: float) -> None:
        self._environ = environ
        self._read_seconds = read_seconds
        self._clients: dict[tuple[str, str, str], Any] = {}

    @property
    def region(self) -> str:
        """The region of jobs that name none; empty if there is none."""
        return self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or ""

    def get(self, service: str, region: str, role: str = "") -> Any:
        """The client, as `role` (an ARN) if there is one. Making the first one of a service costs
        some 100 ms; the role is assumed at its first request."""
        with _LOCK:
            key = (service, region, role)
            if key not in self._clients:
                self._clients[key] = self._make(*key)
            return self._clients[key]

    def _make(self, service: str, region: str, role: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - the cost estimate needs no SDK

        environ = self._environ
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=self._read_seconds,
            retries={"mode": "standard", "total_max_attempts": 1},
        )
        session = _session(*(environ.get(name) for name in _IDENTITY))
        if role:
            session = _assumed(session, role, self.get("sts", region))
        return session.client(
            service, region_name=region, endpoint_url=self._endpoint(service), config=config
        )

    def _endpoint(self, service: str) -> str | None:
        named = self._environ.get(f"AWS_ENDPOINT_URL_{_ENDPOINT[service]}")
        return named or self._environ.get("AWS_ENDPOINT_URL")


def _assumed(session: Any, role: str, sts: Any) -> Any:
    """A session as that role, whose credentials are renewed before they expire."""
    import boto3  # noqa: PLC0415
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
    assumed = core.Session()
    setattr(assumed, "_credentials", renewed)  # noqa: B010 - the SDK has no door for it
    return boto3.session.Session(botocore_session=assumed)


@lru_cache(maxsize=4)
def _session(key: str | None, secret: str | None, token: str | None, profile: str | None) -> Any:
    """One session per identity: it keeps the services' models, which take long to read."""
    import boto3  # noqa: PLC0415

    return boto3.session.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        profile_name=profile,
    )


_IDENTITY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")

#: Names of the services in `AWS_ENDPOINT_URL_…`.
_ENDPOINT = {"ecs": "ECS", "ec2": "EC2", "logs": "CLOUDWATCH_LOGS", "sts": "STS"}

#: Sessions make clients for one thread at a time; a role's needs one of STS.
_LOCK = RLock()
