"""Has a value the same bounds at every door: command line, pools.yaml, events, API and Python?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from push_dispatch.api.v1 import actions, declarations
from push_dispatch.control.declaration import schema as pools_schema
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.documents import schema as request_schema
from push_dispatch.control.pools import change_pool, create_queue
from push_dispatch.core import bounds
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import (
    MAX_GIVE_UP_SECONDS,
    MAX_HOLD_SECONDS,
    MAX_PERIOD_SECONDS,
    MAX_SLOTS,
    MAX_STARTS,
    Queue,
    Rate,
    is_name,
)
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.submit import submit
from tests.fakes.world import POOL, World

#: What a field takes, in the words of JSON Schema.
NUMBERS: dict[str, tuple[int, int]] = {
    "limit": (0, MAX_SLOTS),
    "key_limit": (0, MAX_SLOTS),
    "priority": (1, bounds.LARGEST),
    "starts": (1, MAX_STARTS),
    "period_seconds": (1, MAX_PERIOD_SECONDS),
    "hold_seconds": (0, MAX_HOLD_SECONDS),
    "give_up_seconds": (1, MAX_GIVE_UP_SECONDS),
    "every_seconds": (60, bounds.LONGEST_INTERVAL),
    "jitter_seconds": (0, bounds.LONGEST_INTERVAL),
    "timeout_seconds": (1, bounds.LARGEST),
    "start_within": (1, bounds.LARGEST),
    "in_seconds": (0, bounds.LARGEST),
    "retries": (0, bounds.LARGEST),
    "crash_retries": (0, bounds.LARGEST),
    "retry_delay_seconds": (0, bounds.LARGEST),
}
LENGTHS: dict[str, int] = {
    "description": bounds.DESCRIPTION,
    "tags": bounds.TAG,
    "concurrency_key": bounds.CONCURRENCY_KEY,
    "idempotency_key": bounds.IDEMPOTENCY_KEY,
    "traceparent": bounds.TRACEPARENT,
}
PATTERNS: dict[str, str] = {
    "pool": bounds.NAME,
    "queue": bounds.NAME,
    "deployment": bounds.NAME,
    "secrets": bounds.SECRET_PATTERN,
}


def _api() -> dict[str, Any]:
    kinds = [
        declarations.PoolSettings,
        declarations.PoolChange,
        declarations.QueueSettings,
        declarations.QueueChange,
    ]
    kinds += [declarations.DeploymentSettings, declarations.DeploymentChange, actions.Submission]
    return msgspec.json.schema_components(kinds)[1]


def _fields(schema: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Each field of each object in a schema, with the part of its schema that is not null."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    if isinstance(schema, Mapping):
        for name, field in (schema.get("properties") or {}).items():
            kinds = field.get("anyOf", [field])
            found += [(name, kind.get("items", kind)) for kind in kinds]
        for part in schema.values():
            found += _fields(part)
    elif isinstance(schema, list):
        found += [field for part in schema for field in _fields(part)]
    return found


@pytest.mark.parametrize(
    "schema", [_api, pools_schema, request_schema], ids=["API", "pools.yaml", "event"]
)
def test_a_schema_says_what_the_core_checks(schema: Callable[[], Any]) -> None:
    seen = set()
    for name, field in _fields(schema()):
        if "$ref" in field or field.get("type") in ("null", "object", "boolean"):
            continue
        if name in NUMBERS:
            assert (field["minimum"], field["maximum"]) == NUMBERS[name], name
        if name in LENGTHS:
            assert field["maxLength"] == LENGTHS[name], name
        if name in PATTERNS:
            assert field["pattern"] == PATTERNS[name], name
        seen.add(name)
    assert len(seen & {*NUMBERS, *LENGTHS, *PATTERNS}) >= 10


@pytest.fixture
def world() -> World:
    return World()


def _set(world: World, **changes: Any) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, **changes))


def _submit(world: World, **fields: Any) -> None:
    submit(world.ports, Request(POOL, **fields))


def _deploy(world: World, **fields: Any) -> None:
    save_deployment(world.ports, Deployment("d", POOL, **fields))


def _schedule(world: World, **fields: Any) -> None:
    _deploy(
        world, command="true", schedules=(Schedule(**{"name": "s", "every_seconds": 60, **fields}),)
    )


@pytest.mark.parametrize(
    ("act", "name", "most"),
    [
        (_set, "limit", MAX_SLOTS),
        (_set, "key_limit", MAX_SLOTS),
        (_set, "hold_seconds", MAX_HOLD_SECONDS),
        (_set, "give_up_seconds", MAX_GIVE_UP_SECONDS),
        (_submit, "retries", bounds.LARGEST),
        (_submit, "timeout_seconds", bounds.LARGEST),
        (_deploy, "start_within", bounds.LARGEST),
        (_deploy, "limit", MAX_SLOTS),
        (_schedule, "jitter_seconds", bounds.LONGEST_INTERVAL),
        (_schedule, "every_seconds", bounds.LONGEST_INTERVAL),
    ],
)
def test_the_core_takes_the_largest_number_and_no_larger(
    world: World, act: Callable[..., None], name: str, most: int
) -> None:
    act(world, **{name: most})
    with pytest.raises(Invalid):
        act(world, **{name: most + 60})


@pytest.mark.parametrize(
    ("act", "name", "most"),
    [
        (_submit, "name", bounds.RUN_NAME),
        (_submit, "concurrency_key", bounds.CONCURRENCY_KEY),
        (_submit, "idempotency_key", bounds.IDEMPOTENCY_KEY),
        (_submit, "traceparent", bounds.TRACEPARENT),
        (_deploy, "description", bounds.DESCRIPTION),
        (_set, "description", bounds.DESCRIPTION),
        (_schedule, "name", 63),
    ],
)
def test_the_core_takes_the_longest_text_and_no_longer(
    world: World, act: Callable[..., None], name: str, most: int
) -> None:
    act(world, **{name: "x" * most})
    with pytest.raises(Invalid, match=rf"{most}|{most:,}"):
        act(world, **{name: "x" * (most + 1)})


def test_priorities_rates_and_secrets_have_the_same_end_everywhere(world: World) -> None:
    create_queue(world.ports, POOL, Queue("last", 1), priority=bounds.LARGEST)
    with pytest.raises(Invalid, match="an integer from 1 to 1000000000"):
        create_queue(world.ports, POOL, Queue("later", 1), priority=bounds.LARGEST + 1)
    _set(world, rate=Rate(MAX_STARTS, MAX_PERIOD_SECONDS), secrets=("etl/*", "a?", "x" * 200))
    for wrong in ("", "a b", "x" * 201, "ü"):
        with pytest.raises(Invalid, match="1 to 200 letters"):
            _set(world, secrets=("etl/*", wrong))


def test_what_was_stored_before_there_were_bounds_keeps_nobody_from_another_change() -> None:
    world = World()
    pool = world.store.pool(POOL)
    assert pool is not None
    world.store.save_pool(replace(pool, description="x" * 3000, secrets=("a b",)))
    _set(world, paused=True)
    with pytest.raises(Invalid, match="at most 2,000"):
        _set(world, description="y" * 3000)


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 63, "", "x" * 64, "-a", "a b", "a\n", "ä"])
def test_a_name_is_one_for_a_schema_and_for_the_core(name: str) -> None:
    # JSON Schema searches, and knows no end but that of the text.
    assert is_name(name) == (re.search(bounds.NAME.replace("$", r"\Z"), name) is not None)
