"""Does a rate hold whatever its size, and does the ledger stay small under it?"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.items import ledger_item, read_ledger, size_of
from push_dispatch.cli.times import rate_of
from push_dispatch.control.declaration import read, schema
from push_dispatch.control.pools import change_pool, change_queue, create_pool
from push_dispatch.core.admission import Snapshot, apply, decide
from push_dispatch.core.canonical import dumps
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import (
    MAX_PERIOD_SECONDS,
    MAX_STARTS,
    Ledger,
    Pool,
    Queue,
    Rate,
    Ready,
    check_rate,
)
from push_dispatch.platforms.templates import default_template
from tests.fakes.world import POOL, World

NOW = 1_800_000_000_000


def started(pool: Pool, ledger: Ledger, wanted: int, now: int) -> tuple[Ledger, int]:
    """The ledger after a pass with that many runs in line, whose slots are free again at once."""
    line = [Ready("default", now, f"{n:06d}", f"run {n}", 1) for n in range(wanted)]
    decision = decide(Snapshot(pool, ledger, {"default": line}), now)
    after = apply(Snapshot(pool, ledger, {}), decision.admit, now)
    return replace(after, holders=()), len(decision.admit)


@pytest.mark.parametrize("seed", range(20))
def test_no_window_holds_more_starts_than_the_rate(seed: int) -> None:
    random = Random(seed)
    rate = Rate(random.choice((1, 3, 40, 150)), random.choice((1, 7, 90)))
    pool = Pool("p", "process", rate=rate)
    ledger, now, window = Ledger("p"), NOW, deque[int]()
    for _ in range(500):
        now += random.randint(1, 700)
        wanted = random.randint(0, 3)
        ledger, admitted = started(pool, ledger, wanted, now)
        window.extend([now] * admitted)
        while window and window[0] <= now - rate.period_seconds * 1000:
            window.popleft()
        assert len(window) <= rate.starts
        if rate.starts < 128:
            # Few enough times to be exact: nothing waits that could start.
            assert admitted == min(wanted, rate.starts - (len(window) - admitted))


def test_a_large_rate_holds_and_is_late_by_a_64th_of_its_period_at_most() -> None:
    rate = Rate(1_500, 64)
    pool = Pool("p", "process", rate=rate)
    ledger, window, total = Ledger("p"), deque[tuple[int, int]](), 0
    for now in range(NOW, NOW + 200_000, 200):
        ledger, admitted = started(pool, ledger, 30, now)
        window.append((now, admitted))
        total += admitted
        while window[0][0] <= now - 64_000:
            window.popleft()
        assert sum(n for _, n in window) <= rate.starts
        assert len(ledger.starts[""]) <= 129
    assert total > 3 * rate.starts  # of 3.1 periods, and each start is free within one second


def test_the_ledger_does_not_grow_with_the_rate() -> None:
    pool = Pool("p", "process", rate=Rate(15_000, 3600))
    ledger, total = Ledger("p"), 0
    for now in range(NOW, NOW + 3_600_000, 5_000):
        ledger, admitted = started(pool, ledger, 30, now)
        total += admitted
    assert total == 15_000
    assert size_of(ledger_item(ledger)) < 3_000
    assert read_ledger("p", ledger_item(ledger)) == ledger


def test_a_ledger_of_the_version_before_is_read_and_a_small_one_is_written_as_it_was() -> None:
    item: dict[str, Any] = ledger_item(Ledger("p", version=3))
    old = {**item, "starts": {"S": dumps({"": [NOW, 0, 0, 5], "q": [NOW]})}}
    ledger = read_ledger("p", old)
    assert ledger.starts == {"": ((NOW, 3), (NOW + 5, 1)), "q": ((NOW, 1),)}
    assert ledger_item(ledger) == old


# -- one bound at every door ---------------------------------------------------------------------

OUT_OF_BOUNDS = [
    Rate(0, 60),
    Rate(-1, 60),
    Rate(1, 0),
    Rate(MAX_STARTS + 1, 3600),
    Rate(1, MAX_PERIOD_SECONDS + 1),
    Rate(1001, 1),
]


@pytest.mark.parametrize("rate", OUT_OF_BOUNDS, ids=str)
def test_a_rate_out_of_bounds_is_refused_at_every_door(rate: Rate) -> None:
    world = World()
    for change in ({"rate": rate}, {"platform_rate": rate}):
        with pytest.raises(Invalid, match="rate"):
            change_pool(world.ports, POOL, lambda p, c=change: replace(p, **c))  # type: ignore[misc]
        with pytest.raises(Invalid, match="rate"):
            create_pool(world.ports, Pool("new", "process", **change), {})  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="rate"):
        change_queue(world.ports, POOL, "default", lambda q: replace(q, rate=rate))
    with pytest.raises(Invalid, match="rate"):
        create_pool(world.ports, Pool("new", "process", queues=(Queue("q", 1, rate=rate),)), {})
    with pytest.raises(Invalid):
        rate_of(f"{rate.starts}/{rate.period_seconds}s")
    entry = {"starts": rate.starts, "period_seconds": rate.period_seconds}
    for pool in ({"rate": entry}, {"platform_rate": entry}, {"queues": {"q": {"rate": entry}}}):
        document = {"pools": {"p": {"type": "process", **pool}}}
        with pytest.raises(Invalid, match="rate"):
            read(document, default_template, relative_to=Path())


@pytest.mark.parametrize("wrong", [1.5, True, "3", None])
def test_the_numbers_of_a_rate_are_integers(wrong: Any) -> None:
    with pytest.raises(Invalid, match="an integer from 1"):
        check_rate(Rate(wrong, 60), "x")


def test_the_largest_rates_pass_every_door() -> None:
    world = World()
    largest = Rate(MAX_STARTS, MAX_PERIOD_SECONDS)
    assert change_pool(world.ports, POOL, lambda p: replace(p, rate=largest)).rate == largest
    assert rate_of(f"{MAX_STARTS}/31d") == largest
    declared = json.loads(json.dumps(schema()["$defs"]["rate"]["properties"]))
    assert declared["starts"]["maximum"] == MAX_STARTS
    assert declared["period_seconds"]["maximum"] == MAX_PERIOD_SECONDS


def test_a_rate_from_before_the_bounds_does_not_keep_the_pool_from_being_paused() -> None:
    world = World()
    pool = world.store.pool(POOL)
    assert pool is not None
    world.store.save_pool(replace(pool, rate=Rate(999_999_999, 60)))
    assert change_pool(world.ports, POOL, lambda p: replace(p, paused=True)).paused
