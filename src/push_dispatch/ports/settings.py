"""Which table, which queues? The environment as a frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from push_dispatch.core.errors import Invalid

__all__ = ["Settings", "traces_wanted"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a function needs to know of the stack it belongs to."""

    table: str
    #: URL of the queue that wakes dispatch.
    wake_queue: str = ""
    #: URL of the queue of each platform that is deployed.
    platform_queues: Mapping[str, str] = field(default_factory=dict)
    #: URL of the queue for requests that were refused; empty if there is none.
    rejected_queue: str = ""
    #: Name of the event bus that hears of every change of state; empty if there is none.
    event_bus: str = ""
    #: Group of the schedules in EventBridge Scheduler, the ARN of what they invoke, and the role
    #: that may; empty if the backend reads schedules from the table itself.
    schedule_group: str = ""
    schedule_target: str = ""
    schedule_role: str = ""
    #: Where jobs report on themselves, and the name of the secret that their tokens are derived of;
    #: empty if they do not.
    report_url: str = ""
    report_key: str = ""
    #: Days for which runs that have ended are kept; 0 is for good.
    retention_days: int = 0
    #: Whether new runs and ends are dispatched at once: see `engine.eager`.
    eager: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def template_env(self) -> dict[str, str]:
        """What `{{ $NAME }}` in a template may read: the environment variables that
        `PUSH_DISPATCH_TEMPLATE_ENV` names, separated by commas, and no credentials among them."""
        names = [n.strip() for n in self.environ.get("PUSH_DISPATCH_TEMPLATE_ENV", "").split(",")]
        return {name: self.environ[name] for name in names if name in self.environ}

    @property
    def traces(self) -> bool:
        """Whether runs are traced."""
        return traces_wanted(self.environ)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read `PUSH_DISPATCH_TABLE`, `PUSH_DISPATCH_WAKE_QUEUE`, `PUSH_DISPATCH_REJECTED_QUEUE`,
        `PUSH_DISPATCH_EVENT_BUS`, `PUSH_DISPATCH_SCHEDULE_GROUP`, `…_TARGET` and `…_ROLE`,
        `PUSH_DISPATCH_REPORT_URL` and `…_KEY_NAME`, `PUSH_DISPATCH_RETENTION_DAYS`,
        `PUSH_DISPATCH_EAGER` (`true` or `false`) and, as JSON from platform to URL,
        `PUSH_DISPATCH_PLATFORM_QUEUES`. Raises Invalid."""
        table = environ.get("PUSH_DISPATCH_TABLE", "")
        if not table:
            raise Invalid("the environment variable PUSH_DISPATCH_TABLE is not set")
        queues = environ.get("PUSH_DISPATCH_PLATFORM_QUEUES", "") or "{}"
        try:
            platform_queues = dict(json.loads(queues))
        except (ValueError, TypeError) as error:
            raise Invalid(f"PUSH_DISPATCH_PLATFORM_QUEUES is not a JSON object: {error}") from error
        days = environ.get("PUSH_DISPATCH_RETENTION_DAYS", "") or "0"
        if not days.isascii() or not days.isdigit():
            raise Invalid(f"PUSH_DISPATCH_RETENTION_DAYS is {days!r}, and not a number of days")
        eager = environ.get("PUSH_DISPATCH_EAGER", "") or "false"
        if eager not in ("true", "false"):
            raise Invalid(f"PUSH_DISPATCH_EAGER is {eager!r}: it must be true or false")
        return cls(
            table=table,
            wake_queue=environ.get("PUSH_DISPATCH_WAKE_QUEUE", ""),
            platform_queues=platform_queues,
            rejected_queue=environ.get("PUSH_DISPATCH_REJECTED_QUEUE", ""),
            event_bus=environ.get("PUSH_DISPATCH_EVENT_BUS", ""),
            schedule_group=environ.get("PUSH_DISPATCH_SCHEDULE_GROUP", ""),
            schedule_target=environ.get("PUSH_DISPATCH_SCHEDULE_TARGET", ""),
            schedule_role=environ.get("PUSH_DISPATCH_SCHEDULE_ROLE", ""),
            report_url=environ.get("PUSH_DISPATCH_REPORT_URL", ""),
            report_key=environ.get("PUSH_DISPATCH_REPORT_KEY_NAME", ""),
            retention_days=int(days),
            # Without queues nobody could be handed over.
            eager=eager == "true" and bool(platform_queues),
            environ=environ,
        )


def traces_wanted(environ: Mapping[str, str]) -> bool:
    """Whether an OTLP collector is named, and OpenTelemetry is not switched off."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")) and not off
