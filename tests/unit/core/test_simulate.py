"""Does a simulation start from any state that a pool can be in?"""

from __future__ import annotations

from typing import Any

from push_dispatch.core.model import Collision, Edge, Holder, Ledger, Pool, Queue, Ready
from push_dispatch.core.simulate import Arrival, simulate


def test_a_run_that_waits_again_while_its_earlier_attempt_holds_a_slot() -> None:
    """The retry is in line before the ledger has released the attempt that failed."""
    pool = Pool("p", "process", limit=1)
    ledger = Ledger("p", 1, (Holder("run", 1, "default", 1),))
    waiting = Arrival(0, 10, Ready("default", 0, "", "run", attempt=2))
    [fate] = simulate(pool, [waiting], ledger=ledger, remaining={ledger.holders[0].slot: 5})
    assert (fate.started, fate.ended) == (5, 15)


def test_whoever_collides_or_is_refused_is_played() -> None:
    def fates(pool: Pool, *arrivals: Arrival) -> list[tuple[int | None, int | None]]:
        found = {id(fate.arrival): fate for fate in simulate(pool, arrivals)}
        return [(found[id(a)].started, found[id(a)].ended) for a in arrivals]

    def of(at: int, **more: Any) -> Arrival:
        return Arrival(at, 1000, Ready("default", at, "", "", 1, deployment="d", **more))

    full = Pool("p", "process", limit=5, deployment_limits={"d": 1})
    latest = [of(at, collision=Collision.LATEST) for at in (1, 2, 3)]
    assert fates(full, *latest) == [(1, 1001), (None, None), (1001, 2001)]
    replacing = [of(at, collision=Collision.CANCEL_RUNNING) for at in (1, 2)]
    assert fates(full, *replacing) == [(1, 2), (2, 1002)]
    bounded = Pool("p", "process", limit=1, queues=(Queue("default", 1, max_waiting=1),))
    assert fates(bounded, *(of(at) for at in (1, 2, 3))) == [(1, 1001), (1001, 2001), (None, None)]
    edges = {
        Edge.LEADING: [(1, 1001), (None, None), (12_000, 13_000)],
        Edge.TRAILING: [(None, None), (5, 1005), (12_000, 13_000)],
    }
    for edge, expected in edges.items():
        quiet = [of(at, debounce_seconds=10, debounce_edge=edge) for at in (1, 5, 12_000)]
        assert fates(Pool("p", "process", limit=5), *quiet) == expected
