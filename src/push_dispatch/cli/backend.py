"""Which pools are meant: those of a local runtime, or of a deployment in AWS?

In this order: --local NAME; --profile, --region or their environment variables AWS_PROFILE,
AWS_ENDPOINT_URL (also with _DYNAMODB), PUSH_DISPATCH_TABLE; a local runtime that is up; AWS with
what the SDK finds by itself. The choice is always said, on standard error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from push_dispatch.cli.options import Common
from push_dispatch.cli.output import dim
from push_dispatch.core.errors import Invalid
from push_dispatch.ports import Ports

if TYPE_CHECKING:
    import boto3

    from push_dispatch.adapters.sqlite.database import Database
    from push_dispatch.local.discovery import Record

__all__ = ["Backend", "backend", "connect"]

#: Name of the table of a deployment unless PUSH_DISPATCH_TABLE says another.
DEFAULT_TABLE = "push-dispatch"

#: Whoever sets one of these means AWS, also while a local runtime is up.
_CHOOSE_AWS = (
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "PUSH_DISPATCH_TABLE",
)


@dataclass(frozen=True)
class Backend:
    """The chosen one."""

    ports: Ports
    session: boto3.Session
    table: str
    #: The local runtime; None is AWS.
    local: Record | None = None
    #: The file of that runtime, if its state is in one.
    database: Database | None = None


def connect(common: Common) -> Ports:
    """The ports of the chosen backend. Raises Invalid, NotFound, and Invalid (`no_backend`)."""
    return backend(common).ports


def backend(common: Common) -> Backend:
    """The chosen backend. Raises as `connect` does."""
    if common.local and (common.profile or common.region):
        raise Invalid("--local and --profile or --region exclude each other")
    aws = common.profile or common.region or any(os.environ.get(name) for name in _CHOOSE_AWS)
    if aws and not common.local:
        return _aws(common)
    found = _find(common.local)
    return _aws(common) if found is None else _local(found)


def _local(record: Record) -> Backend:
    from push_dispatch.local.connect import database_of, ports_of
    from push_dispatch.local.ministack import session

    dim(f"backend: local runtime {record.name!r} at {record.where}")
    database = database_of(record) if record.state else None
    return Backend(ports_of(record, database=database), session(), record.table, record, database)


def _aws(common: Common) -> Backend:
    import boto3

    from push_dispatch.bootstrap import ports_for
    from push_dispatch.settings import Settings

    session = boto3.Session(profile_name=common.profile, region_name=common.region)
    if session.region_name is None:
        raise _nowhere("no AWS region is configured")
    if session.get_credentials() is None:
        raise _nowhere("there are no AWS credentials")
    table = os.environ.get("PUSH_DISPATCH_TABLE") or DEFAULT_TABLE
    settings = Settings.from_env({**os.environ, "PUSH_DISPATCH_TABLE": table})
    dim(f"backend: table {table} in {_place(session, common)}")
    return Backend(ports_for(settings, session), session, table)


def _place(session: boto3.Session, common: Common) -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
    profile = common.profile or os.environ.get("AWS_PROFILE")
    by = f" by profile {profile}" if profile else ""
    at = f" at {endpoint}" if endpoint else ""
    return f"AWS {session.region_name}{by}{at}"


def _nowhere(why: str) -> Invalid:
    return Invalid(f"no local runtime is up, and {why}", reason="no_backend")


def _find(name: str | None) -> Record | None:
    from push_dispatch.local.discovery import find_local

    return find_local(name)
