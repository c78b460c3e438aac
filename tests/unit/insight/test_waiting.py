"""Does the reason given for a waiting run say what holds it back now?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.pools import change_pool, change_queue, create_pool, create_queue
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Pool, Queue, Ready, Run
from push_dispatch.core.reasons import REASONS
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.insight.explain import explain, explain_pool
from push_dispatch.insight.why import reasons_of
from push_dispatch.ports import Ports
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

NOW = 1_800_000_000_000


class World:
    """A pool `p` of limit 2 with the queues `default` and, before it, `first`."""

    def __init__(self) -> None:
        self.now = NOW
        self.ids = 0
        self.store = MemoryStore()
        self.ports = Ports(
            store=self.store,
            messages=MemoryMessages(),
            clock=lambda: self.now,
            new_id=self.new_id,
            platform=lambda name: pytest.fail("nothing is pushed here"),
            secrets=secrets_from({}),
        )
        create_pool(self.ports, Pool("p", "process", limit=2), {})
        create_queue(self.ports, "p", Queue("first", 1), priority=1)

    def new_id(self) -> str:
        self.ids += 1
        return f"0199c1f0-0000-7000-8000-{self.ids:012d}"

    def submit(self, **request: Any) -> Run:
        return submit(self.ports, Request("p", **request)).run

    def dispatch(self) -> None:
        changes, self.store.changes[:] = list(self.store.changes), []
        for pool, hints in hints_of(changes).items():
            dispatch(self.ports, pool, hints)

    def reason(self, run: Run) -> str | None:
        stored = self.store.run("p", run.uuid)
        assert stored is not None
        return reasons_of(self.ports, "p", [stored]).get(run.uuid)


@pytest.fixture
def world() -> World:
    return World()


def test_a_run_that_can_start_is_admissible_before_it_is_in_line(world: World) -> None:
    assert world.reason(world.submit()) == "admissible"


def test_full_pool_paused_pool_and_limits_of_zero(world: World) -> None:
    started = [world.submit(), world.submit()]
    world.dispatch()
    waiting = world.submit()
    world.dispatch()
    assert [world.reason(run) for run in started] == ["handing_over", "handing_over"]
    assert world.reason(waiting) == "pool_limit"
    change_queue(world.ports, "p", "default", lambda q: replace(q, limit=2))
    assert world.reason(waiting) == "queue_limit"
    change_queue(world.ports, "p", "default", lambda q: replace(q, limit=0))
    assert world.reason(waiting) == "queue_limit_zero"
    change_pool(world.ports, "p", lambda p: replace(p, limit=0))
    assert world.reason(waiting) == "pool_limit_zero"
    change_pool(world.ports, "p", lambda p: replace(p, paused=True))
    assert world.reason(waiting) == "pool_paused"


def test_slots_are_free_and_others_come_first(world: World) -> None:
    late = world.submit()
    world.submit(queue="first")
    assert world.reason(late) == "admissible"
    world.submit(queue="first")
    world.dispatch()
    change_pool(world.ports, "p", lambda p: replace(p, limit=4))
    submit_many(world.ports, copies(Request("p", queue="first"), 2))
    change_pool(world.ports, "p", lambda p: replace(p, paused=True))
    world.dispatch()  # Puts them in line, admits nothing.
    change_pool(world.ports, "p", lambda p: replace(p, paused=False))
    assert world.reason(late) == "behind_others"


def test_a_run_of_the_future_and_one_whose_time_to_start_has_passed(world: World) -> None:
    future = world.submit(at=NOW + 60_000)
    assert world.reason(future) == "not_due"
    expiring = world.submit(start_within=5)
    world.now += 5_000
    assert world.reason(expiring) == "expired"


def test_many_runs_are_answered_from_one_snapshot(world: World) -> None:
    submitted = submit_many(world.ports, copies(Request("p"), 30))
    runs = [each.run for each in submitted]
    reasons = reasons_of(world.ports, "p", runs)
    assert [reasons[run.uuid] for run in runs] == ["admissible"] * 2 + ["behind_others"] * 28


def test_a_deleted_pool_and_queue(world: World) -> None:
    run = world.submit()
    moved = replace(run, queue="gone")
    assert reasons_of(world.ports, "p", [moved]) == {run.uuid: "queue_not_found"}
    pool = world.store.pool("p")
    assert pool is not None
    world.store.delete_pool(pool)
    assert world.reason(run) == "pool_not_found"


# -- the check of job variables at submission ----------------------------------------------------


def test_variables_are_checked_once_for_all_copies_and_before_anything_is_stored(
    world: World,
) -> None:
    checked: list[Mapping[str, Any]] = []

    def check(template: Mapping[str, Any], layers: Any, needs_command: bool) -> None:
        checked.append(template)
        if layers[-1].variables.get("image") == "bad":
            raise Invalid("image 'bad' is not allowed", reason="invalid_variables")

    submit_many(world.ports, copies(Request("p", variables={"image": "a"}), 5), check=check)
    assert checked == [{}]
    stored = len(list(world.store.list_runs("p")))
    bad = [Request("p"), Request("p", variables={"image": "bad"})]
    with pytest.raises(Invalid, match="not allowed"):
        submit_many(world.ports, bad, check=check)
    assert len(list(world.store.list_runs("p"))) == stored


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"at": 10**13}, "invalid_time"),
        ({"retries": 10**10}, "invalid_input"),
        ({"timeout_seconds": 0}, "invalid_input"),
        ({"name": "n" * 201}, "invalid_input"),
        ({"tags": ("t" * 101,)}, "invalid_input"),
        ({"concurrency_key": "k" * 101}, "invalid_input"),
    ],
)
def test_what_the_table_could_not_take_is_refused(
    world: World, request_: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Invalid) as caught:
        world.submit(**request_)
    assert caught.value.reason == reason
    assert not list(world.store.list_runs("p"))


# -- one answer, whoever asks ------------------------------------------------------------------


def test_lists_and_explanations_give_every_run_the_same_reason(world: World) -> None:
    """Free slots, full ones, keys, pauses, backed-up lines: never two stories about one run."""
    for _ in range(20):
        world.submit(concurrency_key="k")
    for number in range(20):
        world.submit(queue=("default", "first")[number % 2], concurrency_key=f"k{number % 7}")
    world.submit(at=NOW + 60_000)
    world.submit(start_within=1)
    change_pool(world.ports, "p", lambda p: replace(p, limit=8, key_limit=1))
    world.dispatch()
    seen: set[str] = set()
    for limit, key_limit in ((12, 1), (10, 3), (4, 3), (40, 3), (40, 30)):
        change_pool(world.ports, "p", lambda p: replace(p, limit=limit, key_limit=key_limit))  # noqa: B023
        runs = list(world.store.list_runs("p"))
        listed = reasons_of(world.ports, "p", runs)
        assert listed == {run.uuid: explain(world.ports, run.id).reason for run in runs}
        assert set(listed.values()) <= set(REASONS)
        seen |= set(listed.values())
        world.now += 500
        world.dispatch()
    assert {"behind_others", "key_limit", "pool_limit", "handing_over", "not_due"} <= seen


def test_a_pools_explanation_counts_what_its_runs_are_told(world: World) -> None:
    runs = [each.run for each in submit_many(world.ports, copies(Request("p"), 5))]
    world.store.enqueue("p", [Ready.of(run) for run in runs], NOW)
    (queue,) = [q for q in explain_pool(world.ports, "p").queues if q.queue.name == "default"]
    assert queue.reasons == {"admissible": 2, "behind_others": 3}
