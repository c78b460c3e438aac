"""How is everything wired together? The one composition root: settings in, ports out."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import uuid_utils

from push_dispatch.adapters.prefect.blocks import BlockSecrets
from push_dispatch.adapters.secret_stores import secrets_from, system_secrets_from
from push_dispatch.core.polling import IN_AWS
from push_dispatch.core.retry import longest_rest
from push_dispatch.platforms.registry import load
from push_dispatch.ports import Ports
from push_dispatch.ports.eager import Eager
from push_dispatch.ports.reporter import Reporter
from push_dispatch.ports.schedules import NoSchedules, Schedules, UnknownSchedules
from push_dispatch.ports.settings import Settings

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

    from push_dispatch.adapters.event_bus import EventBus
    from push_dispatch.adapters.otlp import Otlp
    from push_dispatch.adapters.sqlite.database import Database
    from push_dispatch.adapters.webhooks import Webhooks
    from push_dispatch.control.prefect.attachment import Bridge
    from push_dispatch.platforms.base import Platform
    from push_dispatch.ports.messages import Messages
    from push_dispatch.ports.secrets import Secrets
    from push_dispatch.ports.store import Store

_Made = TypeVar("_Made")

__all__ = [
    "client_config",
    "embedded_ports",
    "event_bus_for",
    "new_id",
    "now",
    "otlp_for",
    "ports",
    "ports_for",
    "prefect_bridge",
    "settings",
    "streams",
    "webhooks_for",
]


@cache
def client_config() -> Config:
    """What all clients of AWS have in common.

    Short time-outs: every write is idempotent, so trying again beats waiting.
    """
    from botocore.config import Config  # noqa: PLC0415 - commands for a local runtime need no AWS

    return Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=32,
        # A fifth of a call's CPU time. Our own requests are checked by the tests, whose clients
        # do it.
        parameter_validation=False,
        # Ours instead of the SDK's, which is put together anew for each call: another tenth.
        user_agent="push-dispatch",
    )


@cache
def ports() -> Ports:
    """The ports of this function, from its environment; made once: Lambda keeps processes warm."""
    from push_dispatch.adapters.telemetry import meter  # noqa: PLC0415 - elsewhere nobody counts

    return replace(ports_for(settings()), meter=meter)


@cache
def streams() -> DynamoDBStreamsClient:
    """What reads the table's stream again where Lambda gave up."""
    from push_dispatch.adapters import aws  # noqa: PLC0415 - as in `ports_for`

    client: DynamoDBStreamsClient = aws.client("dynamodbstreams", config=client_config())
    return client


@cache
def settings() -> Settings:
    """The settings of this process, from its environment."""
    return Settings.from_env(os.environ)


def ports_for(
    settings: Settings, session: boto3.Session | None = None, endpoint: str | None = None
) -> Ports:
    """New ports for these settings; `endpoint` is where table and queues are, if not in AWS:
    there schedules are read from the table. Without a session, with the identity of the process."""
    # A local runtime, and commands for it, need none of them; Lambda has loaded them at its start.
    from push_dispatch.adapters import aws  # noqa: PLC0415
    from push_dispatch.adapters.dynamodb.store import DynamoStore  # noqa: PLC0415
    from push_dispatch.adapters.sqs import SqsMessages  # noqa: PLC0415

    client = partial(session.client if session else aws.client, config=client_config())
    dynamodb = client("dynamodb", endpoint_url=endpoint)
    make_sqs = partial(client, "sqs", endpoint_url=endpoint)
    return _ports(
        settings,
        DynamoStore(dynamodb, settings.table, retention_days=settings.retention_days),
        SqsMessages(_once(make_sqs), settings.platform_queues, settings.wake_queue),
        NoSchedules() if endpoint else _schedules(settings, client),
    )


def event_bus_for(settings: Settings) -> EventBus | None:
    """The bus that hears of every change of state; None if there is none."""
    from push_dispatch.adapters import aws  # noqa: PLC0415 - as in `ports_for`
    from push_dispatch.adapters.event_bus import EventBus  # noqa: PLC0415 - one function's only

    if not settings.event_bus:
        return None
    from botocore.config import Config  # noqa: PLC0415 - as in `client_config`

    config = Config(connect_timeout=2, read_timeout=5)
    return EventBus(settings.event_bus, aws.client("events", config=config))


def webhooks_for(settings: Settings) -> Webhooks:
    """The webhooks of this stack. Raises Invalid."""
    from push_dispatch.adapters.webhooks import Webhooks, webhooks_from  # noqa: PLC0415 - as above

    hooks = webhooks_from(settings.environ)
    return Webhooks(hooks, system_secrets_from(settings.environ), now)


def otlp_for(settings: Settings) -> Otlp:
    """The collector that takes traces from a function of this stack, with the headers that a secret
    of the system's may hold. Raises KeyError, Unavailable without that secret."""
    from push_dispatch.adapters.otlp import Otlp  # noqa: PLC0415 - one function's only

    name = settings.environ.get("PUSH_DISPATCH_OTLP_HEADERS_NAME")
    headers = system_secrets_from(settings.environ).read(name) if name else ""
    return Otlp(settings.environ, headers, lasts=False)


def embedded_ports(database: Database, environ: Mapping[str, str]) -> Ports:
    """New ports of a local runtime, whose state is in this file: schedules are read from it."""
    from push_dispatch.adapters.sqlite.queues import Queues  # noqa: PLC0415 - never in Lambda
    from push_dispatch.adapters.sqlite.store import SqliteStore  # noqa: PLC0415

    # Its feed reaches dispatch at once.
    own = {"PUSH_DISPATCH_TABLE": "local", "PUSH_DISPATCH_EAGER": ""}
    settings = Settings.from_env({**environ, **own})
    store = SqliteStore(database, now, retention_days=settings.retention_days)
    return _ports(settings, store, Queues(database, now), NoSchedules())


def _ports(settings: Settings, store: Store, messages: Messages, schedules: Schedules) -> Ports:
    system = system_secrets_from(settings.environ)
    return Ports(
        store=store,
        messages=messages,
        clock=now,
        new_id=new_id,
        platform=_platforms(settings.environ, system),
        secrets=BlockSecrets(secrets_from(settings.environ), store.attachment),
        schedules=schedules,
        reporter=_reporter(settings, system),
        template_env=settings.template_env,
        traces=settings.traces,
        eager=Eager() if settings.eager else None,
        rest=rest,
        pauses=IN_AWS,
    )


def prefect_bridge(ports: Ports) -> Bridge:
    """The use cases' view of Prefect servers, with the credentials that these ports can read."""
    from push_dispatch.adapters.prefect.server import connect  # noqa: PLC0415 - few functions call
    from push_dispatch.control.prefect.attachment import Bridge  # noqa: PLC0415 - as above

    return Bridge(ports, lambda address: connect(address, ports.secrets))


def now() -> int:
    """The time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def rest(race: int) -> None:
    """Sleep for a moment, at random: see `Ports.rest`."""
    time.sleep(random.uniform(0, longest_rest(race)))  # noqa: S311 - no secret


def new_id() -> str:
    """A fresh uuid7: ordered by time, also within a millisecond of this process."""
    return str(uuid_utils.uuid7())


def _schedules(settings: Settings, client: Callable[[str], Any]) -> Schedules:
    if not settings.schedule_group:
        return UnknownSchedules()
    from push_dispatch.adapters.scheduler import EventBridgeSchedules  # noqa: PLC0415 - few write them

    return EventBridgeSchedules(
        client("scheduler"),
        settings.schedule_group,
        settings.schedule_target,
        settings.schedule_role,
    )


def _reporter(settings: Settings, secrets: Secrets) -> Reporter | None:
    if not settings.report_key:
        return None
    key = _once(lambda: secrets.read(settings.report_key))
    return Reporter(settings.report_url, key)


def _once(make: Callable[[], _Made]) -> Callable[[], _Made]:
    """Made by the first who needs it. Sessions make clients for one thread at a time."""
    made: list[_Made] = []
    lock = Lock()

    def get() -> _Made:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


def _platforms(environ: Mapping[str, str], secrets: Secrets) -> Callable[[str], Platform]:
    @cache
    def platform(name: str) -> Platform:
        return load(name, environ, secrets)

    return platform
