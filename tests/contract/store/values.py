"""Which values does the store contract suite write?"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

from push_dispatch.core.model import (
    Attempt,
    Backfill,
    Collision,
    Edge,
    Fallback,
    Holder,
    Ledger,
    NamedLimit,
    Pool,
    Queue,
    Rate,
    Ready,
    Run,
    RunState,
)

__all__ = ["NOW", "full_pool", "full_run", "holder", "ids", "ledger", "place", "run"]

#: Some time in epoch milliseconds.
NOW = 1_800_000_000_000


def ids() -> Iterator[str]:
    """Fresh uuids in rising order, as `Ports.new_id` makes them."""
    prefix = uuid.uuid4().hex[:6]
    for number in itertools.count(1):
        yield f"{prefix}01-0000-7000-8000-{number:012x}"


def run(pool: str, uuid: str, **changes: Any) -> Run:
    """A SCHEDULED run of the default queue."""
    values: dict[str, Any] = {"queue": "default", "due": NOW, "submitted_at": NOW, "order": uuid}
    return Run(pool=pool, uuid=uuid, **(values | changes))


def full_run(pool: str, uuid: str) -> Run:
    """A run that has a value in every field."""
    return Run(
        pool=pool,
        uuid=uuid,
        queue="high",
        due=NOW + 1,
        submitted_at=NOW,
        order=uuid,
        state=RunState.CANCELLING,
        attempt=2,
        rev=9,
        name="nightly é 試",
        variables={"cpu": 256, "env": {"A": "1", "B": None}, "list": [1, 2.5, True]},
        deployment_variables={"image": "alpine"},
        deployment="nightly",
        collision=Collision.CANCEL_NEW,
        parameters={"day": "2026-12-01"},
        tags=("a", "b"),
        idempotency_key="key 1",
        concurrency_key="customer 7",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        timeout_seconds=60,
        expires=NOW + 60_000,
        retries=3,
        crash_retries=2,
        retry_delay_seconds=0,
        failures=1,
        crashes=1,
        reason="exit_code",
        message="it failed",
        stop="cancelled_by_user",
        attempts=(_attempt(1), _attempt(2)),
        ended_at=NOW + 9,
        returns=3,
        refused_at=NOW + 7,
        blames=1,
        give_up_at=NOW + 8,
        keys=(("everyone", ""), ("tenant", "customer 7")),
        weights=(("licence:x", 1000), ("vcpu", 250)),
        under="0123456789abcdef",
        boost=60_000,
        start_by=NOW + 600_000,
        warned_at=NOW + 480_000,
        debounce_seconds=30,
        debounce_edge=Edge.LEADING,
    )


def _attempt(number: int) -> Attempt:
    return Attempt(
        number=number,
        platform="ecs",
        template="0123456789abcdef",
        type="ecs:push",
        tried=("cloud-run-v2: no_capacity (none left)",),
        claimed_at=NOW,
        sent_at=0,
        lease_until=NOW + 60_000,
        claim="claim",
        handle="arn:aws:ecs:eu-west-1:1:task/1",
        pushed_at=NOW + 1,
        started_at=NOW + 2,
        ended_at=NOW + 3,
        exit_code=0,
        reason="completed",
        message="done",
        observed=4,
        seen_at=NOW + 3,
    )


def place(uuid: str, **changes: Any) -> Ready:
    """A place in the default queue, due now."""
    values: dict[str, Any] = {
        "queue": "default",
        "due": NOW,
        "order": uuid,
        "run": uuid,
        "attempt": 1,
    }
    return Ready(**(values | changes))


def holder(uuid: str, **changes: Any) -> Holder:
    """One slot of the default queue."""
    values: dict[str, Any] = {"run": uuid, "attempt": 1, "queue": "default", "since": NOW}
    return Holder(**(values | changes))


def ledger(pool: str, version: int, *holders: Holder, **changes: Any) -> Ledger:
    """A ledger as a pass would commit it."""
    return Ledger(pool, version=version, holders=holders, **changes)


def full_pool(name: str) -> Pool:
    """A pool that has a value in every field, zeros where a zero means something."""
    return Pool(
        name=name,
        type="ecs:push",
        limit=0,
        paused=True,
        queues=(
            Queue("default", 2, limit=0, paused=True, description="d", key_limit=0),
            Queue("high", 1, limit=3, key_limit=1, rate=Rate(5, 60), max_waiting=0),
        ),
        description="a pool",
        template="0123456789abcdef",
        key_limit=0,
        rate=Rate(10, 1),
        deployment_limits={"nightly": 0, "hourly": 2},
        key_max_waiting=0,
        deployment_max_waiting={"nightly": 0},
        fallbacks=(Fallback("cloud-run-v2", "fedcba9876543210"),),
        platform_rate=Rate(20, 1),
        limits=(
            NamedLimit("tenant", "{{ parameters.tenant }}", limit=0, rate=Rate(1, 2)),
            NamedLimit("everyone", max_waiting=0),
        ),
        capacity={"vcpu": 0, "licence:x": 2000},
        weights={"licence:x": "{{ variables.licences }}"},
        backfill=Backfill.CONSERVATIVE,
        ageing_seconds=600,
        secrets=("db", "etl/*"),
        retired=("old",),
    )
