"""Which system does a client talk to? Chosen in the same order as the command line chooses it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from push_dispatch.api.client.transport import Http, InProcess, Transport, bearer, sigv4
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    import boto3

    from push_dispatch.local.discovery import Record

__all__ = ["Backend", "Choice", "found"]

#: Name of the table of a deployment unless PUSH_DISPATCH_TABLE names another one.
_TABLE = "push-dispatch"
#: Whoever sets one of these means AWS, also while a local runtime is up.
_CHOOSE_AWS = (
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "PUSH_DISPATCH_TABLE",
)


class Choice(NamedTuple):
    """What is given to say which one is meant."""

    url: str | None = None
    token: str | None = None
    local: str | None = None
    profile: str | None = None
    region: str | None = None


class Backend(NamedTuple):
    """The chosen one, and where its jobs leave their results by default; empty is nowhere."""

    transport: Transport
    results: str = ""


def found(choice: Choice) -> Backend:
    """Find the system: by a URL (also PUSH_DISPATCH_URL), a local runtime's name, a profile or a
    region or the variables that choose AWS; else the local runtime that is up; else AWS.

    Raises Invalid, NotFound (`no_backend`).
    """
    if choice.local and (choice.profile or choice.region or choice.url):
        raise Invalid("local excludes url, profile and region")
    if not choice.local and (url := choice.url or os.environ.get("PUSH_DISPATCH_URL", "")):
        return _at(url, choice)
    aws = choice.profile or choice.region or any(map(os.environ.get, _CHOOSE_AWS))
    if aws and not choice.local:
        return _in_aws(choice)
    from push_dispatch.local.discovery import find_local  # noqa: PLC0415 - by who needs it

    record = find_local(choice.local)
    return _in_aws(choice) if record is None else _on_this_machine(record)


def _at(url: str, choice: Choice) -> Backend:
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise Invalid(f"{url!r} is not the https:// URL of an API")
    token = choice.token or os.environ.get("PUSH_DISPATCH_TOKEN")
    return Backend(Http(url, bearer(token) if token else sigv4(_session(choice), url)))


def _on_this_machine(record: Record) -> Backend:
    if not record.api:
        raise Invalid(
            f"the local runtime {record.name!r} is of an older version: start it again",
            reason=Reason.NO_BACKEND,
        )
    from pathlib import Path  # noqa: PLC0415 - importing the package costs little

    results = Path(record.process_dir).parent / "results"
    return Backend(Http(record.api, bearer(record.token)), results.as_uri())


def _in_aws(choice: Choice) -> Backend:
    from push_dispatch.bootstrap import ports_for  # noqa: PLC0415 - loads boto3
    from push_dispatch.ports.settings import Settings  # noqa: PLC0415

    session = _session(choice)
    table = os.environ.get("PUSH_DISPATCH_TABLE") or _TABLE
    settings = Settings.from_env({**os.environ, "PUSH_DISPATCH_TABLE": table})
    return Backend(InProcess(ports_for(settings, session)))


def _session(choice: Choice) -> boto3.Session:
    import boto3  # noqa: PLC0415 - takes half a second

    session = boto3.Session(profile_name=choice.profile, region_name=choice.region)
    # Typed as a text, and None where nothing names one.
    if not session.region_name:
        problem = "no local runtime is up, and no AWS region is configured: set AWS_REGION"
        raise Invalid(problem, reason=Reason.NO_BACKEND)
    if session.get_credentials() is None:
        problem = "no local runtime is up, and there are no AWS credentials"
        raise Invalid(problem, reason=Reason.NO_BACKEND)
    return session
