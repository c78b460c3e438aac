"""Does the overview show a pool as it is, in a bounded answer over bounded reads?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.core.model import Attempt, Holder, Pool, Queue, Ready, Run, RunState
from tests.fakes.api_v1 import Api
from tests.fakes.memory.store import MemoryStore
from tests.fakes.world import POOL, START, World


@pytest.fixture
def api() -> Api:
    return Api(World())


def test_an_empty_pool_has_an_overview(api: Api) -> None:
    got = api("GET", "/pools/p/overview").json
    assert (got["slots"], got["slots_used"], got["waiting_total"], got["complete"]) == (
        3,
        0,
        0,
        True,
    )
    assert got["holders"] == got["waiting"] == got["recent"] == []
    assert sum(got["waits"]["counts"]) == 0
    assert got["waits"]["p50"] is None


def test_who_runs_and_who_waits_and_who_has_ended(api: Api) -> None:
    world = api.world
    runs = [api.submit(name=f"n{n}") for n in range(5)]
    world.deliver_all()
    world.deliver_all()
    for container in world.platform.live():
        world.platform.begin(container)
    world.deliver_all()
    world.now += 30_000
    world.platform.end(world.platform.live()[0], 0)
    world.deliver_all()
    world.deliver_all()
    got = api("GET", "/pools/p/overview").json
    assert [holder["id"] for holder in got["holders"]] == runs[1:4]
    assert [holder["state"] for holder in got["holders"]][:2] == ["RUNNING", "RUNNING"]
    assert got["holders"][0]["started"] is not None
    [waiting] = got["waiting"]
    assert (waiting["id"], waiting["place"], waiting["reason"]) == (runs[4], 1, "pool_limit")
    assert waiting["estimated_start"] >= got["time"]
    [ended] = got["recent"]
    assert (ended["id"], ended["state"]) == (runs[0], "COMPLETED")
    assert ended["due"] <= ended["admitted"] <= ended["started"] < ended["ended"]
    assert got["occupancy"]["queues"]["default"][-1] == 3
    assert sum(got["waits"]["counts"]) == 3


def test_reasons_are_counted_by_queue(api: Api) -> None:
    api("PUT", "/pools/p/queues/slow", {"limit": 0})
    for _ in range(3):
        api.submit(queue="slow")
    api.world.deliver_changes(10)
    [_, slow] = api("GET", "/pools/p/overview").json["queues"]
    assert (slow["name"], slow["waiting"]) == ("slow", 3)
    assert slow["reasons"] == {"queue_limit_zero": 3}


def test_one_refresh_at_5000_runs_is_bounded_in_size_and_in_reads() -> None:
    """With the longest names that there may be: nothing of the answer depends on the load."""
    world = World(Counted())
    world.ports.store.delete_pool(world.ports.store.pool(POOL))  # type: ignore[arg-type]
    pool = "p" * 63
    queues = tuple(Queue(str(n) * 63, n + 1) for n in range(3))
    _fill(world, Pool(pool, "process", limit=500, queues=queues))
    api = Api(world)
    world.store.read = 0  # type: ignore[attr-defined]
    most: dict[str, Any] = {"holders": 500, "waiting": 200, "recent": 200}
    for extent in ({}, most):
        got = api("GET", f"/pools/{pool}/overview", **extent).json
        assert len(json.dumps(got, separators=(",", ":")).encode()) < 50_000
        assert got["slots_used"] == 500
        assert got["complete"] is False
        assert min(len(got["holders"]), len(got["waiting"]), len(got["recent"])) > 10
    assert world.store.read <= 2 * 752  # type: ignore[attr-defined]


def test_a_long_line_does_not_hide_what_has_ended(api: Api) -> None:
    world = api.world
    ended = api.submit()
    world.deliver_all()
    world.platform.begin(world.platform.live()[0])
    world.platform.end(world.platform.live()[0], 0)
    world.deliver_all()
    api("POST", "/pools/p/pause")
    world.now += 1000
    for _ in range(2):
        runs = [{"job_variables": {"command": "true"}}] * 200
        api("POST", "/pools/p/runs/batch", {"runs": runs})
    world.deliver_changes(400)
    got = api("GET", "/pools/p/overview").json
    assert not got["complete"]
    assert got["waiting_total"] > 300
    assert [run["id"] for run in got["recent"]] == [ended]


class Counted(MemoryStore):
    """Counts the runs that lists read."""

    read = 0

    def list_runs(self, pool: str, **options: Any) -> Iterator[Run]:
        for run in super().list_runs(pool, **options):
            self.read += 1
            yield run


def _fill(world: World, pool: Pool) -> None:
    """5,000 runs: 500 hold a slot, 2,000 wait, 2,500 have ended; half of them have keys."""
    store = world.ports.store
    store.create_pool(pool)
    runs = [_run(pool, number) for number in range(5000)]
    store.add_runs(runs)
    holders = tuple(Holder(r.uuid, 1, r.queue, START - 9000, "", r.deployment) for r in runs[:500])
    store.commit(
        replace(
            store.ledger(pool.name), version=store.ledger(pool.name).version + 1, holders=holders
        )
    )
    store.enqueue(pool.name, [Ready.of(run) for run in runs[500:2500]], START)


def _run(pool: Pool, number: int) -> Run:
    plain = f"01a3185c-5000-7000-8000-{number:012x}"
    keyed = f"{number * 51 % 256:02x}00185c-5000-8000-8000-{number:012x}"
    uuid = plain if number % 2 else keyed
    run = Run(
        pool.name, uuid, pool.queues[number % 3].name, START, START, plain, deployment="d" * 63
    )
    if 500 <= number < 2500:
        return run
    attempt = Attempt(1, "process", claimed_at=START - 60_000, started_at=START - 50_000)
    if number < 500:
        return replace(run, state=RunState.RUNNING, attempt=1, attempts=(attempt,))
    ended = START - number
    attempt = replace(attempt, ended_at=ended)
    return replace(
        run,
        name="n" * 200,
        state=RunState.COMPLETED,
        reason="completed",
        attempt=1,
        attempts=(attempt,),
        ended_at=ended,
    )
