"""Do the guarantees hold with everything that runs can share switched on, at random?

The state machine of `test_engine`, in pools with named limits, a capacity, ageing and
`max_waiting`, and with runs that collide, are debounced, and should start by a time. What is
exceeded is counted from the runs, not from what their slots say.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from push_dispatch.control.pools import change_pool, create_queue
from push_dispatch.core.model import (
    Backfill,
    Collision,
    Edge,
    Holder,
    Ledger,
    NamedLimit,
    Pool,
    Queue,
    Run,
    RunState,
)
from push_dispatch.core.request import Request
from push_dispatch.core.usage import Used
from push_dispatch.engine.submit import submit_many
from tests.fakes.guarantees import Guarantees
from tests.fakes.world import POOL, World
from tests.property.test_engine import LIMITS, REQUESTS, STRIKES, Engine, Strikes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CAPACITY = 4
TEAM = NamedLimit("team", "{{ tags.team }}", limit=1)

SHARES: dict[str, st.SearchStrategy[Any]] = {
    "tags": st.sampled_from([(), ("team:x",), ("team:y",)]),
    "parameters": st.sampled_from([1, 1, 2, CAPACITY]).map(lambda weight: {"w": weight}),
    "collision": st.sampled_from([*[Collision.ENQUEUE] * 3, *Collision]),
    "debounce_seconds": st.sampled_from([None, None, 5, 60]),
    "debounce_edge": st.sampled_from(list(Edge)),
    "start_by_seconds": st.sampled_from([None, None, 60, 4000]),
}
SHARED = st.builds(
    lambda request, more: replace(request, **more), REQUESTS, st.fixed_dictionaries(SHARES)
)
SETTINGS = st.fixed_dictionaries(
    {
        "backfill": st.sampled_from(list(Backfill)),
        "ageing_seconds": st.sampled_from([None, 10, 3600]),
        "key_limit": st.none() | st.just(1),
        "key_max_waiting": st.sampled_from([None, 1, 3]),
    }
)


class Sharing(Guarantees):
    """Those, and that nothing is exceeded that runs share. Who goes first is checked by
    `test_sharing`: here what holds one run back may let another pass."""

    def check(self, now: int) -> None:
        super().check(now)
        pool = self._store.pool(self._pool)
        most = pool.key_max_waiting if pool else None
        held = {holder.run for holder in self._store.ledger(self._pool).holders}
        waiting = Counter(run.concurrency_key for run in self._runs() if _waits(run, held))
        assert most is None or waiting["k"] <= most, f"{waiting['k']} wait of {most}"

    def _check_limits(self, pool: Pool, after: Ledger, admitted: Sequence[Holder]) -> None:
        super()._check_limits(pool, after, admitted)
        runs = self._store.runs(self._pool, (holder.run for holder in after.holders)).values()
        taken = sum(run.parameters["w"] for run in runs)
        if taken > CAPACITY:
            self.broken.append(f"{taken} taken of {CAPACITY}")
        teams = Counter(tag for run in runs for tag in run.tags)
        if any(count > 1 for count in teams.values()):
            self.broken.append(f"more runs of a team than one: {teams}")

    def _check_order(self, pool: Pool, after: Ledger, admitted: Sequence[Holder]) -> None:
        """Not here."""


def _waits(run: Run, held: set[str]) -> bool:
    return run.state is RunState.SCHEDULED and run.attempt == 0 and run.uuid not in held


class SharingEngine(Engine):
    """One pool with all of it."""

    def make_world(self) -> World:
        world = World()
        world.guarantees = Sharing(POOL, world.store, world.platform)
        return world

    @initialize(
        high=LIMITS,
        shared=SETTINGS,
        requests=st.lists(SHARED, max_size=8),
        strikes=st.lists(STRIKES, max_size=6),
    )
    def begin(
        self,
        high: int | None,
        shared: dict[str, Any],
        requests: list[Request],
        strikes: Strikes,
    ) -> None:
        ports = self.world.ports
        create_queue(ports, POOL, Queue("high", 1, limit=high), priority=1)
        create_queue(ports, POOL, Queue("low", 1), priority=10)
        whole: dict[str, Any] = {
            "limits": (TEAM,),
            "capacity": {"w": CAPACITY * 1000},
            "weights": {"w": "{{ parameters.w }}"},
            **shared,
        }
        change_pool(ports, POOL, lambda pool: replace(pool, **whole))
        self.submits(requests)
        self.lightning_gathers(strikes)

    @rule(requests=st.lists(SHARED, min_size=1, max_size=4))
    def submits(self, requests: list[Request]) -> None:
        now = self.world.now
        ours = [r if r.at is None else replace(r, at=now + r.at * 1000) for r in requests]
        self.do(lambda: submit_many(self.world.ports, ours))


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


SEARCH = settings(
    max_examples=100,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_all_of_it_at_random() -> None:
    run_state_machine_as_test(SharingEngine, settings=SEARCH)


@pytest.mark.parametrize(
    ("clause", "what"),
    [("fits", "taken of"), ("named_reason", "more runs of a team")],
)
def test_without_a_clause_it_is_found_out(
    clause: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Used, clause, lambda *_, **__: {"fits": True}.get(clause))
    with pytest.raises(AssertionError, match=what):
        run_state_machine_as_test(SharingEngine, settings=SEARCH)
