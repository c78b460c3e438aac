"""Which table, which queues? The environment as a frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from push_dispatch.errors import Invalid

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a function needs to know of the stack it belongs to."""

    table: str
    #: URL of the queue that wakes dispatch.
    wake_queue: str = ""
    #: URL of the queue of each platform that is deployed.
    platform_queues: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read `PUSH_DISPATCH_TABLE`, `PUSH_DISPATCH_WAKE_QUEUE` and, as JSON from platform to URL,
        `PUSH_DISPATCH_PLATFORM_QUEUES`. Raises Invalid."""
        table = environ.get("PUSH_DISPATCH_TABLE", "")
        if not table:
            raise Invalid("the environment variable PUSH_DISPATCH_TABLE is not set")
        queues = environ.get("PUSH_DISPATCH_PLATFORM_QUEUES", "") or "{}"
        try:
            platform_queues = dict(json.loads(queues))
        except (ValueError, TypeError) as error:
            raise Invalid(f"PUSH_DISPATCH_PLATFORM_QUEUES is not a JSON object: {error}") from error
        return cls(
            table=table,
            wake_queue=environ.get("PUSH_DISPATCH_WAKE_QUEUE", ""),
            platform_queues=platform_queues,
            environ=environ,
        )
