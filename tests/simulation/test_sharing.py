"""Do limits, capacity, ageing, backfill, lanes, collisions, debouncing and times to start by hold
while everything goes wrong?

The simulator's own stories, in pools that have all of it. What is counted here is counted from the
runs, not from what the ledger says of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from push_dispatch.core.model import (
    Backfill,
    Collision,
    Edge,
    Holder,
    Ledger,
    NamedLimit,
    Pool,
    Rate,
    Ready,
    Run,
)
from push_dispatch.core.usage import Used
from push_dispatch.engine import snapshot
from tests.fakes.memory.store import MemoryStore
from tests.simulation import oracle
from tests.simulation.oracle import Oracle
from tests.simulation.plan import POOL, Plan, Submit, plan_of
from tests.simulation.progress import Progress
from tests.simulation.simulation import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CAPACITY = 4
#: Stories with rates by key.
SEEDS = int(os.environ.get("RATED_SEEDS", "16"))


def story(seed: int) -> Plan:
    """One of the simulator's, with weights, collisions, debouncing and times to start by, in a pool
    that has limits, a capacity and ageing."""
    dice, plan = Random(seed), plan_of(seed)
    pool = replace(
        plan.pool,
        limits=(NamedLimit("team", "{{ tags.team }}", limit=dice.choice((1, 2))),),
        capacity={"w": CAPACITY * 1000},
        weights={"w": "{{ parameters.w }}"},
        backfill=dice.choice(list(Backfill)),
        ageing_seconds=dice.choice((None, 60, 3600)),
    )
    return replace(plan, pool=pool, parts=tuple(_shared(part, dice) for part in plan.parts))


def _shared(part: Any, dice: Random) -> Any:
    if not isinstance(part, Submit):
        return part
    more: dict[str, Any] = {"parameters": {"w": dice.choice((0.5, 1, 2, CAPACITY))}}
    if dice.random() < 0.6:
        more["tags"] = (f"team:{dice.choice('xy')}",)
    if dice.random() < 0.3:
        more["start_by_seconds"] = dice.choice((30, 600, 86_400))
    if not part.by_queue:
        more["collision"] = dice.choice((*[Collision.ENQUEUE] * 3, *Collision))
        more["debounce_seconds"] = dice.choice((None, None, 5, 60))
        more["debounce_edge"] = dice.choice(tuple(Edge))
    return replace(part, fields={**part.fields, **more})


@pytest.fixture
def _looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator knows of what the pools share, and every run whose key is full is parked."""
    held_back = Progress._is_held_back

    def check(self: Oracle, pool: Pool, after: Ledger, admitted: Sequence[Holder], _: Any) -> None:
        # The strict order is not what these pools have: what holds somebody back keeps its place.
        runs = self._store.runs(pool.name, (holder.run for holder in after.holders))
        taken = sum(run.parameters["w"] for run in runs.values())
        if taken > CAPACITY:
            self.break_(f"{taken} taken of {CAPACITY}")
        [limit] = pool.limits
        for team, count in Counter(map(_team, runs.values())).items():
            if team and limit.limit is not None and count > limit.limit:
                self.break_(f"{count} runs of team {team}, whose limit is {limit.limit}")

    def is_held_back(self: Progress, pool: Pool, run: Run) -> bool:
        # Whoever fits beside nobody else has to start.
        return held_back(self, pool, run) or bool(self.store.ledger(pool.name).holders)

    monkeypatch.setattr(Oracle, "_check_order", check)
    monkeypatch.setattr(Progress, "_is_held_back", is_held_back)
    monkeypatch.setattr(snapshot, "_SLACK", 1)
    monkeypatch.setattr(snapshot, "_BUDGET", 1)


def _team(run: Run) -> str:
    return next((tag for tag in run.tags if tag.startswith("team:")), "")


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.usefixtures("_looks_for_it")
def test_nothing_is_exceeded_and_nobody_is_forgotten(seed: int) -> None:
    outcome = simulate(story(seed))
    assert outcome.broken == []


@pytest.mark.usefixtures("_looks_for_it")
@pytest.mark.parametrize(
    ("clause", "what"),
    [("fits", "taken of"), ("named_reason", "of team")],
)
def test_a_missing_clause_is_found_out(
    clause: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Used, clause, lambda *_, **__: {"fits": True}.get(clause))
    stories = (simulate(story(seed)).broken for seed in range(24))
    assert any(what in broken for found in stories for broken in found)


# -- rates by key ----------------------------------------------------------------------------------


def rated_story(seed: int) -> Plan:
    """One of those with rates, in a pool where each team has a rate of its own."""
    dice, plan = Random(seed), plan_of(seed, "rates")
    rate = dice.choice((Rate(1, 10), Rate(2, 60), Rate(5, 60), Rate(3, 600)))
    pool = replace(
        plan.pool,
        rate=None,
        platform_rate=None,
        key_limit=None,
        limits=(NamedLimit("team", "{{ tags.team }}", limit=dice.choice((None, 2)), rate=rate),),
    )
    return replace(plan, pool=pool, parts=tuple(_of_a_team(part, dice) for part in plan.parts))


def _of_a_team(part: Any, dice: Random) -> Any:
    if not isinstance(part, Submit) or dice.random() < 0.2:
        return part
    return replace(part, fields={**part.fields, "tags": (f"team:{dice.choice('xxy')}",)})


@pytest.fixture
def _knows_of_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator knows of lanes and of rates by key, and whoever can be parked is."""
    held_back, places = Progress._is_held_back, oracle.waiting_places
    starts: dict[int, list[tuple[int, str]]] = {}

    def with_lanes(store: MemoryStore, *, waiting_only: bool = True) -> list[Ready]:
        line = list(places(store, waiting_only=waiting_only))
        pool = store.pool(POOL)
        names = [queue.name for queue in pool.queues] if pool else []
        return [*line, *(r for n in names for r in store.line(POOL, n, 10_000, lane=""))]

    def check(
        self: Oracle, pool: Pool, after: Ledger, admitted: Sequence[Holder], seen: Any
    ) -> None:
        [limit] = pool.limits
        assert limit.rate is not None
        ours = starts.setdefault(id(self), [])
        ours += [(h.since, key) for h in admitted for _, key in h.keys]
        for at, key in ours:
            window = at - limit.rate.period_seconds * 1000
            if sum(window < other <= at and of == key for other, of in ours) > limit.rate.starts:
                self.break_(f"more starts of team {key} than {limit.rate}")
        if seen.circuit.refusals or self._circuit().refusals:
            return
        line = {r.slot: r for r in with_lanes(self._store)}
        for taken in (line[h.slot] for h in admitted if h.keys and h.slot in line):
            for other in seen.line:
                place = line.get(other.slot)
                if place is None or (place.queue, place.keys) != (taken.queue, taken.keys):
                    continue
                if place.place < taken.place and self._might_start(pool, after, other, seen.at):
                    self.break_(f"{other.run} was passed by within its key")

    def is_held_back(self: Progress, pool: Pool, run: Run) -> bool:
        used = Used.of(pool, self.store.ledger(POOL), self.clock())
        return held_back(self, pool, run) or used.named_reason(pool, Ready.of(run)) is not None

    monkeypatch.setattr(oracle, "waiting_places", with_lanes)
    monkeypatch.setattr(Oracle, "_check_order", check)
    monkeypatch.setattr(Progress, "_is_held_back", is_held_back)
    monkeypatch.setattr(snapshot, "_SLACK", 1)
    monkeypatch.setattr(snapshot, "_BUDGET", 1)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.usefixtures("_knows_of_rates")
def test_who_waits_for_a_rate_is_parked_and_comes_back_in_order(seed: int) -> None:
    assert simulate(rated_story(seed)).broken == []
