"""Does an explanation name the right reason? From a real table, in every situation; and not any
more once the clause that decides it is gone."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import push_dispatch.insight.explain
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import change_pool, change_queue, create_pool, create_queue
from push_dispatch.core import admission
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.model import Observation, Pool, Queue, Rate, Ready, Run, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.push import push
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.engine.sweep import sweep
from push_dispatch.insight.explain import Explanation, explain, explain_pool
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push
from tests.fakes.memory.messages import MemoryMessages
from tests.ministack import table

NOW = 1_800_000_000_000


@pytest.fixture(scope="module")
def store(ministack: str) -> DynamoStore:
    return DynamoStore(table(ministack, "explain"), "explain")


class Platform:
    name = "process"

    def push(self, job: Any) -> str:
        return str(job.name)

    def observe(self, jobs: Any) -> list[Observation]:
        return []

    def cancel(self, handle: str) -> None:
        pass


@dataclass
class World:
    """A pool of its own in the table, with the queues `first` (priority 1) and `default`."""

    store: DynamoStore
    pool: str
    now: int = NOW
    ids: int = 0
    messages: MemoryMessages = field(default_factory=MemoryMessages)

    def __post_init__(self) -> None:
        self.ports = Ports(
            store=self.store,
            messages=self.messages,
            clock=lambda: self.now,
            new_id=self.new_id,
            platform=lambda name: Platform(),  # type: ignore[arg-type,return-value]
            secrets=secrets_from({}),
        )
        create_pool(self.ports, Pool(self.pool, "process", limit=2), {"job_configuration": {}})
        create_queue(self.ports, self.pool, Queue("first", 1), priority=1)

    def new_id(self) -> str:
        self.ids += 1
        return f"0199c1f0-0000-7000-8000-{self.ids:012d}"

    def submit(self, **request: Any) -> Run:
        return submit(self.ports, Request(self.pool, **request)).run

    def lined_up(self, **request: Any) -> Run:
        run = self.submit(**request)
        self.store.enqueue(self.pool, [Ready.of(run)], self.now)
        return run

    def started(self, **request: Any) -> Run:
        """Submitted, and holding a slot."""
        run = self.lined_up(**request)
        dispatch(self.ports, self.pool, Hints())
        assert any(h.run == run.uuid for h in self.store.ledger(self.pool).holders)
        return run

    def pushed(self, **request: Any) -> Run:
        run = self.started(**request)
        push(self.ports, Push(run.id, run.next_attempt, "process", self.config.template))
        return run

    def ended(self, run: Run, exit_code: int) -> Run:
        seen = Observation(run.id, 1, Status.ENDED, exit_code=exit_code, ended_at=self.now)
        finish(self.ports, seen)
        return run

    @property
    def config(self) -> Pool:
        pool = self.store.pool(self.pool)
        assert pool is not None
        return pool

    def set_pool(self, **changes: Any) -> None:
        change_pool(self.ports, self.pool, lambda p: replace(p, **changes))

    def set_queue(self, **changes: Any) -> None:
        change_queue(self.ports, self.pool, "default", lambda q: replace(q, **changes))

    def explain(self, run: Run) -> Explanation:
        return explain(self.ports, run.id)


Situation = Callable[[World], Run]


def _not_due(world: World) -> Run:
    return world.lined_up(at=NOW + 90_000)


def _pool_paused(world: World) -> Run:
    world.set_pool(paused=True)
    return world.lined_up()


def _queue_paused(world: World) -> Run:
    world.set_queue(paused=True)
    return world.lined_up()


def _pool_limit_zero(world: World) -> Run:
    world.set_pool(limit=0)
    return world.lined_up()


def _queue_limit_zero(world: World) -> Run:
    world.set_queue(limit=0)
    return world.lined_up()


def _queue_limit(world: World) -> Run:
    world.set_queue(limit=1)
    world.started()
    return world.lined_up()


def _pool_limit(world: World) -> Run:
    world.started(queue="first")
    world.started()
    return world.lined_up()


def _key_limit(world: World) -> Run:
    world.set_pool(key_limit=1)
    world.started(concurrency_key="k")
    return world.lined_up(concurrency_key="k")


def _rate_limit(world: World) -> Run:
    world.set_pool(rate=Rate(1, 60))
    world.ended(world.pushed(), 0)
    return world.lined_up()


def _deployment_limit(world: World) -> Run:
    save_deployment(world.ports, Deployment(f"{world.pool}-d", world.pool, limit=1))
    world.started(deployment=f"{world.pool}-d")
    return world.lined_up(deployment=f"{world.pool}-d")


def _admissible(world: World) -> Run:
    return world.lined_up()


def _handing_over(world: World) -> Run:
    return world.started()


def _retry_backoff(world: World) -> Run:
    return world.ended(world.pushed(retries=1), 1)


def _starting(world: World) -> Run:
    return world.pushed()


def _running(world: World) -> Run:
    run = world.pushed()
    finish(world.ports, Observation(run.id, 1, Status.RUNNING, started_at=NOW))
    return run


def _completed(world: World) -> Run:
    return world.ended(world.pushed(), 0)


def _exit_code(world: World) -> Run:
    return world.ended(world.pushed(), 3)


def _cancelled(world: World) -> Run:
    run = world.lined_up()
    cancel(world.ports, run.id)
    return run


def _out_of_memory(world: World) -> Run:
    run = world.pushed()
    finish(world.ports, Observation(run.id, 1, Status.ENDED, reason="out_of_memory"))
    return run


#: What `decide()` finds, and what a run's own state says.
WAITS: dict[str, Situation] = {
    "not_due": _not_due,
    "pool_paused": _pool_paused,
    "queue_paused": _queue_paused,
    "pool_limit_zero": _pool_limit_zero,
    "queue_limit_zero": _queue_limit_zero,
    "queue_limit": _queue_limit,
    "pool_limit": _pool_limit,
    "key_limit": _key_limit,
    "rate_limit": _rate_limit,
    "deployment_limit": _deployment_limit,
}
OTHERS: dict[str, Situation] = {
    "admissible": _admissible,
    "handing_over": _handing_over,
    "retry_backoff": _retry_backoff,
    "starting": _starting,
    "running": _running,
    "completed": _completed,
    "exit_code": _exit_code,
    "cancelled_by_user": _cancelled,
    "out_of_memory": _out_of_memory,
}


@pytest.mark.parametrize("reason", [*WAITS, *OTHERS])
def test_the_reason_is_the_right_one(store: DynamoStore, reason: str) -> None:
    world = World(store, f"right-{reason.replace('_', '-')}")
    run = (WAITS | OTHERS)[reason](world)
    found = world.explain(run)
    assert found.reason == reason
    assert found.sentence
    assert found.remedy
    assert " POOL" not in found.remedy


@pytest.mark.parametrize("reason", WAITS)
def test_it_is_wrong_once_the_clause_that_decides_is_gone(
    store: DynamoStore, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(store, f"wrong-{reason.replace('_', '-')}")
    run = WAITS[reason](world)
    assert world.explain(run).reason == reason
    monkeypatch.setattr(push_dispatch.insight.why, "decide", _decide_without(reason))
    assert world.explain(run).reason != reason


def test_the_numbers_holders_and_place_in_line(store: DynamoStore) -> None:
    world = World(store, "numbers")
    first, second = world.started(), world.started(queue="first")
    ahead, last = world.lined_up(queue="first"), world.lined_up()
    found = world.explain(last)
    assert found.numbers == {"pool limit": 2, "slots held in pool": 2}
    assert found.ahead == 1
    assert {holder.run for holder in found.holders} == {first.uuid, second.uuid}
    assert world.explain(ahead).ahead == 0
    pool = explain_pool(world.ports, "numbers")
    waiting = [(q.queue.name, q.held, q.reasons["pool_limit"]) for q in pool.queues]
    assert waiting == [("first", 1, 1), ("default", 1, 1)]


def test_the_start_is_estimated_from_how_long_the_last_runs_took(store: DynamoStore) -> None:
    world = World(store, "estimate")
    world.set_pool(limit=1)
    done = world.pushed()
    world.now += 60_000
    world.ended(done, 0)
    dispatch(world.ports, "estimate", Hints(), thorough=True)
    sweep(world.ports)
    world.started()
    assert world.explain(world.lined_up()).estimated_start == world.now + 60_000


def _decide_without(reason: str) -> Callable[..., admission.Decision]:
    """`decide` of a copy of its module in which the clause with this reason is missing."""
    source = inspect.getsource(admission)
    clause = rf"        if [^\n]*:\n            return [^\n]*\bReason\.{reason.upper()}\b[^\n]*\n"
    changed, count = re.subn(clause, "", source)
    assert count == 1
    module = types.ModuleType("admission_without_a_clause")
    monkey = {"__name__": "push_dispatch.core.admission"}
    module.__dict__.update(monkey)
    exec(compile(changed, "admission_without_a_clause", "exec"), module.__dict__)
    decide: Callable[..., admission.Decision] = module.__dict__["decide"]
    return decide
