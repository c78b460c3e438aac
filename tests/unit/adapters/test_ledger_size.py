"""Does a ledger stay writable, and right, within all limits that are documented?"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from push_dispatch.adapters.dynamodb import items
from push_dispatch.adapters.dynamodb.ledger_bases import base_items, read_base
from push_dispatch.control.pools import change_pool
from push_dispatch.core.admission import Snapshot, apply, decide
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import MAX_SLOTS, Holder, Ledger, Pool, Queue, Ready
from push_dispatch.core.request import Request
from push_dispatch.core.usage import slot_name
from push_dispatch.engine.submit import submit_many
from tests.fakes.memory.store import MemoryStore
from tests.fakes.world import POOL, World

LARGEST_ITEM = 409_600


def name(letter: str, number: int, length: int) -> str:
    return f"{number}{letter * length}"[:length]


@pytest.mark.parametrize("letter", ["\x01", "🚀"])
def test_all_slots_with_the_longest_names_fit_into_items(letter: str) -> None:
    holders = tuple(
        Holder(
            str(UUID(int=n)), 2**31, "default", 10**13 - 1, name(letter, n, 100), name("d", n, 63)
        )
        for n in range(MAX_SLOTS)
    )
    base, parts = base_items(Ledger("p", 2**40, holders), 0)
    assert max(map(items.size_of, parts)) < LARGEST_ITEM
    assert len(read_base(base, parts) or ()) == MAX_SLOTS


@given(st.text(max_size=100))
def test_the_name_of_a_name_is_that_name(text: str) -> None:
    short = slot_name(text)
    assert slot_name(short) == short
    assert len(short.encode("utf-8", "replace")) <= 12


@pytest.mark.parametrize("key", ["short", "a much longer key than the ledger keeps"])
def test_limits_count_what_the_ledger_has_kept(key: str) -> None:
    pool = Pool("p", "process", queues=(Queue("default", 1, key_limit=1),), version=1)
    pool = replace(pool, deployment_limits={key: 1})

    def ready(number: int, concurrency_key: str = "", deployment: str = "") -> Ready:
        place = Ready("default", 0, str(number), str(UUID(int=number)), 1)
        return replace(place, concurrency_key=concurrency_key, deployment=deployment)

    ledger = apply(Snapshot(pool, Ledger("p"), {}), [ready(1, concurrency_key=key)], 5)
    ledger = apply(Snapshot(pool, ledger, {}), [ready(2, deployment=key)], 5)
    kept = items.read_ledger("p", items.ledger_item(ledger))
    waiting = [ready(3, concurrency_key=key), ready(4, deployment=key), ready(5)]
    decision = decide(Snapshot(pool, kept, {"default": waiting}), 10)
    assert decision.admit == (waiting[2],)
    assert [wait.reason for wait in decision.wait] == ["key_limit", "deployment_limit"]


def test_a_release_does_not_fail_with_an_admission() -> None:
    class Full(MemoryStore):
        """A ledger may shrink."""

        def commit(self, ledger: Ledger) -> None:
            if len(ledger.holders) > 1:
                raise Invalid("too large for the table", reason="run_too_large")
            super().commit(ledger)

    world = World(Full())
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))
    submit_many(world.ports, [Request(POOL)])
    world.deliver_all()
    world.deliver_all()
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=3))
    submit_many(world.ports, [Request(POOL)] * 3)
    world.deliver_changes(10)
    [live] = world.platform.live()
    world.platform.end(live, 0)
    world.deliver_event(0)
    world.deliver_changes(10)
    assert len(world.store.ledger(POOL).holders) <= 1
    assert live.job.run_id.rpartition(".")[2] not in {
        holder.run for holder in world.store.ledger(POOL).holders
    }
