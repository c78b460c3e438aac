"""Does a forecast count what runs, what will run, and nothing beyond its horizon?"""

from __future__ import annotations

import pytest

from push_dispatch.core.errors import NotFound
from push_dispatch.core.model import Holder, Ledger, Pool, Queue, Ready, Slot
from push_dispatch.core.request import Request
from push_dispatch.core.simulate import Arrival
from push_dispatch.engine.submit import submit
from push_dispatch.insight.forecast import Span, forecast, occupancy_series, what_if
from push_dispatch.insight.views import iso
from tests.fakes.world import World

HOUR = 3_600_000
POOL = Pool("p", "process", limit=1)
LEDGER = Ledger("p", 1, (Holder("held", 1, "default", 0),))
ENDS = {Slot("held", 1): 1000}


def waiting(name: str, at: int = 0, duration: int = 2000) -> Arrival:
    return Arrival(at, duration, Ready("default", at, name, name, 1))


def test_the_next_run_starts_when_the_slot_comes_free() -> None:
    coming = [waiting("a"), waiting("b")]
    found = forecast(POOL, LEDGER, coming, ENDS, now=0, until=HOUR)
    assert found["starts"] == [
        {"id": "p.a", "queue": "default", "start": iso(1000)},
        {"id": "p.b", "queue": "default", "start": iso(3000)},
    ]
    pool, default = found["reports"]
    assert (pool["queue"], default["queue"], pool["runs"]) == ("*", "default", 2)
    assert (pool["wait_max"], pool["never_started"]) == (3.0, 0)


def test_what_starts_beyond_the_horizon_has_not_started() -> None:
    coming = [waiting("a", duration=HOUR), waiting("b")]
    found = forecast(POOL, LEDGER, coming, ENDS, now=0, until=5000)
    assert [start["start"] for start in found["starts"]] == [iso(1000), None]
    assert found["reports"][0]["never_started"] == 1


@pytest.mark.parametrize(
    "closed", [Pool("p", "process", limit=0), Pool("p", "process", paused=True)]
)
def test_a_pool_that_starts_nothing_leaves_all_of_it_waiting(closed: Pool) -> None:
    found = forecast(closed, Ledger("p"), [waiting("a")], {}, now=0, until=HOUR)
    assert [start["start"] for start in found["starts"]] == [None]
    assert found["reports"][0]["never_started"] == 1
    assert set(found["occupancy"]["queues"]["default"]) == {0}


def test_a_series_has_each_queue_and_counts_a_slot_from_its_start_to_its_end() -> None:
    queues = (Queue("default", 2), Queue("fast", 1))
    pool = Pool("p", "process", limit=3, queues=queues)
    spans = [Span("fast", 0, 59_000), Span("fast", 30_000, 90_000), Span("gone", -5, 10_000)]
    series = occupancy_series(pool, spans, 0, 59_000)
    assert (series["start"], series["step_seconds"], series["limit"]) == (iso(0), 1.0, 3)
    assert list(series["queues"]) == ["fast", "default", "gone"]
    assert series["queues"]["fast"] == [1] * 30 + [2] * 29 + [1]
    assert series["queues"]["gone"] == [1] * 10 + [0] * 50
    assert {len(line) for line in series["queues"].values()} == {60}


def test_what_if_plays_the_pool_twice_and_changes_nothing() -> None:
    world = World()
    for _ in range(4):
        submit(world.ports, Request("p", variables={"command": "true"}))
    world.deliver_changes(9)
    before = world.store.pool("p")
    found = what_if(world.ports, "p", lambda pool: Pool(pool.name, pool.type, limit=0), 1)
    assert [start["start"] is None for start in found["now"]["starts"]] == [False]
    assert [start["start"] is None for start in found["changed"]["starts"]] == [True]
    assert world.store.pool("p") == before
    with pytest.raises(NotFound):
        what_if(world.ports, "nowhere", lambda pool: pool, 1)
