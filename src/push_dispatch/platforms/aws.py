"""How does a platform reach AWS? With the identity of an environment, once and not for long."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from push_dispatch.platforms.refusals import Answer

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["answer_of", "client_of", "code_of", "region_in", "session_of"]

_CONNECT_SECONDS = 2
_IDENTITY = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def session_of(environ: Mapping[str, str]) -> Session:
    """The identity that `environ` names as the AWS CLI does; what it does not name, the SDK looks
    for in its usual places."""
    return _session(*(environ.get(name) for name in _IDENTITY))


def region_in(environ: Mapping[str, str]) -> str:
    """The region that `environ` names; empty if it names none."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""


def client_of(
    session: Session,
    service: str,
    region: str,
    *,
    environ: Mapping[str, str],
    read_seconds: float = 8,
) -> Any:
    """A client that neither waits long nor sends anything twice by itself. Its endpoint is that of
    `AWS_ENDPOINT_URL_…` in `environ`, or of `AWS_ENDPOINT_URL`."""
    from botocore.config import Config  # noqa: PLC0415 - the cost estimate needs no SDK

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    name = {"logs": "CLOUDWATCH_LOGS"}.get(service, service.upper())
    endpoint = environ.get(f"AWS_ENDPOINT_URL_{name}") or environ.get("AWS_ENDPOINT_URL")
    options: Any = {"region_name": region or None, "endpoint_url": endpoint, "config": config}
    return session.create_client(service, **options)


def code_of(error: BaseException | None) -> str:
    """Return the code of an answer, such as `ConflictException`; empty if there was none."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def answer_of(error: Any) -> Answer:
    """`CODE: MESSAGE`; of what the SDK raises without an answer, the code is its exception."""
    code, response = code_of(error), getattr(error, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = response.get("Error", {}).get("Message", "") if code else error
    return Answer(status, f"{code or type(error).__name__}: {said}")


@lru_cache(maxsize=4)
def _session(profile: str | None, *key: Any) -> Session:
    """One per identity: it keeps the services' models, which take long to read."""
    from botocore.session import get_session  # noqa: PLC0415 - as above

    session = get_session()
    if profile:
        session.set_config_variable("profile", profile)
    if any(key):
        session.set_credentials(*key)
    return session
