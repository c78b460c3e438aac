"""How does another process talk to a local runtime that is up?"""

from __future__ import annotations

import os
from collections.abc import Mapping

from push_dispatch.bootstrap import ports_for
from push_dispatch.local.discovery import Record
from push_dispatch.local.ministack import session
from push_dispatch.ports import Ports
from push_dispatch.settings import Settings

__all__ = ["ports_of"]


def ports_of(record: Record, environ: Mapping[str, str] | None = None) -> Ports:
    """The ports of a local runtime; platforms take what else they need from the environment."""
    given = os.environ if environ is None else environ
    settings = Settings(
        table=record.table,
        wake_queue=record.wake_queue,
        platform_queues=record.platform_queues,
        environ={
            # A laptop has no secret store: `env`, unless a file or AWS is chosen.
            "PUSH_DISPATCH_SECRETS": "env",
            **given,
            "PUSH_DISPATCH_PROCESS_DIR": record.process_dir,
        },
    )
    return ports_for(settings, session(), record.endpoint)
