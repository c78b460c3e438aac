"""How does another process talk to a local runtime that is up?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.bootstrap import embedded_ports, ports_for
from push_dispatch.local.discovery import Record
from push_dispatch.local.filters import wanted
from push_dispatch.local.signals import poker
from push_dispatch.ports import Ports
from push_dispatch.ports.settings import Settings

__all__ = ["RETENTION_DAYS", "database_of", "emulated_ports", "environ_of", "ports_of"]

#: For which runs that have ended are kept, unless the environment says otherwise.
RETENTION_DAYS = 30


def ports_of(record: Record, *, database: Database | None = None) -> Ports:
    """The ports of a local runtime; `database` is its file, if it is open already. Platforms take
    what else they need from the environment."""
    settled = environ_of(record, os.environ)
    if record.state:
        return embedded_ports(database or database_of(record), settled)
    return emulated_ports(
        settled,
        endpoint=record.endpoint,
        key=record.key,
        table=record.table,
        wake_queue=record.wake_queue,
        platform_queues=record.platform_queues,
    )


def environ_of(record: Record, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a runtime's platforms and secrets."""
    # A laptop has no secret store: `env`, unless a file or AWS is chosen.
    defaults = {
        "PUSH_DISPATCH_SECRETS": "env",
        "PUSH_DISPATCH_RETENTION_DAYS": str(RETENTION_DAYS),
    }
    return {**defaults, **environ, "PUSH_DISPATCH_PROCESS_DIR": record.process_dir}


def database_of(record: Record) -> Database:
    """The file of a runtime that is up; who changes it pokes the runtime."""
    return Database(Path(record.state), poker(record.pokes), wanted)


def emulated_ports(environ: Mapping[str, str], *, endpoint: str, key: str, **where: Any) -> Ports:
    """The ports of a runtime whose state an emulator has, which takes requests that are signed with
    this key; `where` are fields of `Settings`."""
    from push_dispatch.local.ministack import session  # noqa: PLC0415 - only for --aws

    return ports_for(Settings(environ=environ, **where), session(key), endpoint)
