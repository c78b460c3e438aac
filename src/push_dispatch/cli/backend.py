"""Which pools are meant: those of a local runtime, or of a deployment in AWS?

In this order: --local NAME; --profile, --region or their environment variables AWS_PROFILE,
AWS_ENDPOINT_URL (also with _DYNAMODB), PUSH_DISPATCH_TABLE; a local runtime that is up; AWS with
what the SDK finds by itself. The choice is said on standard error, unless --quiet or --json.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from push_dispatch.cli.opened import OPENED
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import aside
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
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
    #: The SDK is loaded when it is called: most commands for a local runtime never do.
    make_session: Callable[[], boto3.Session]
    table: str
    #: The local runtime; None is AWS.
    local: Record | None = None
    #: The file of that runtime, if its state is in one.
    database: Database | None = None

    @property
    def session(self) -> boto3.Session:
        """What signs requests to AWS, or to the emulator of the local runtime."""
        return self.make_session()


def connect(common: Common) -> Ports:
    """The ports of the chosen backend. Raises Invalid, NotFound, and Invalid (`no_backend`)."""
    return backend(common).ports


def backend(common: Common) -> Backend:
    """The chosen backend. Raises as `connect` does."""
    if common.local and (common.profile or common.region):
        raise Invalid("--local and --profile or --region exclude each other")
    if not common.local and (why := _chooses_aws(common)):
        return _aws(common, why)
    found = _find(common.local)
    return _aws(common, "") if found is None else _local(found)


def _chooses_aws(common: Common) -> str:
    """By what AWS is chosen, whether a local runtime is up or not."""
    options = (("--profile", common.profile), ("--region", common.region))
    given = [option for option, value in options if value]
    return ", ".join(given) or next((name for name in _CHOOSE_AWS if os.environ.get(name)), "")


def _local(record: Record) -> Backend:
    from push_dispatch.local.connect import database_of, ports_of

    aside(f"backend: local runtime {record.name!r} at {record.where}")
    database = database_of(record) if record.state else None
    if database is not None:
        OPENED.callback(database.close)

    def signed() -> boto3.Session:
        from push_dispatch.local.ministack import session

        return session(record.key or "local")

    return Backend(ports_of(record, database=database), signed, record.table, record, database)


def _aws(common: Common, why: str) -> Backend:
    import boto3

    from push_dispatch.bootstrap import ports_for
    from push_dispatch.ports.settings import Settings

    session = boto3.Session(profile_name=common.profile, region_name=common.region)
    if session.region_name is None:
        raise _nowhere("no AWS region is configured: set AWS_REGION or --region", why)
    if session.get_credentials() is None:
        raise _nowhere("there are no AWS credentials", why)
    table = os.environ.get("PUSH_DISPATCH_TABLE") or DEFAULT_TABLE
    settings = Settings.from_env({**os.environ, "PUSH_DISPATCH_TABLE": table})
    aside(f"backend: table {table} in {_place(session, common)}{_because(why)}")
    return Backend(ports_for(settings, session), lambda: session, table)


def _place(session: boto3.Session, common: Common) -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
    profile = common.profile or os.environ.get("AWS_PROFILE")
    by = f" by profile {profile}" if profile else ""
    at = f" at {endpoint}" if endpoint else ""
    return f"AWS {session.region_name}{by}{at}"


def _because(why: str) -> str:
    """By which variable AWS was chosen, and which local runtime that hides."""
    if not why or why.startswith("--"):
        return ""
    hidden = _hidden()
    return f" (because {why} is set{f'; {hidden}' if hidden else ''})"


def _hidden() -> str:
    from push_dispatch.local.discovery import locals_up

    up = [record.name for record in locals_up()]
    return f"a local runtime is up: --local {up[0]}" if up else ""


def _nowhere(problem: str, why: str) -> Invalid:
    if not why:
        return Invalid(f"no local runtime is up, and {problem}", reason=Reason.NO_BACKEND)
    hidden = _hidden() if not why.startswith("--") else ""
    chosen = f"AWS is chosen by {why}, and {problem}"
    return Invalid(f"{chosen}; {hidden}" if hidden else chosen, reason=Reason.NO_BACKEND)


def _find(name: str | None) -> Record | None:
    from push_dispatch.local.discovery import find_local

    return find_local(name)
