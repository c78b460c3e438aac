"""Does what is over stay over: a pool of an old name, a key used again, another task's end?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.known import pool_named
from push_dispatch.control.pools import create_pool, delete_pool
from push_dispatch.core.admission import Snapshot, apply
from push_dispatch.core.errors import Conflict
from push_dispatch.core.model import Observation, Pool, RunState, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import finish
from push_dispatch.engine.reports import Report, receive
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import prepare, submit
from push_dispatch.ports.reporter import Reporter, token_for
from tests.fakes.world import POOL, TEMPLATE, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("streamed", [True, False])
def test_a_run_submitted_while_its_pool_is_deleted_ends_with_a_reason(
    world: World, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = prepare(world.ports, pool_named(world.ports, POOL), Request(POOL))
    if streamed:  # stored when the pool is gone
        delete_pool(world.ports, POOL)
        world.store.add_run(late)
    else:  # stored, and put in line, after the pool was found to be empty
        real = world.store.delete_pool

        def delete(pool: Pool) -> None:
            world.store.add_run(late)
            world.deliver_changes(10)
            real(pool)

        monkeypatch.setattr(world.store, "delete_pool", delete)
        delete_pool(world.ports, POOL)
    world.deliver_changes(10)
    [run] = world.runs()
    assert (run.state, run.reason) == (RunState.CRASHED, "pool_not_found")
    create_pool(world.ports, Pool(POOL, "process"), TEMPLATE)
    world.drain()
    assert world.platform.starts == {}


def test_a_run_whose_pool_is_not_there_yet_waits(world: World) -> None:
    """A system that is restored from a copy has its runs before its pools."""
    run = prepare(world.ports, pool_named(world.ports, POOL), Request(POOL))
    early = replace(run, pool="restored")
    world.store.add_run(early)
    world.deliver_changes(10)
    assert world.store.run("restored", early.uuid) == early


def test_a_pool_of_an_old_name_shares_no_version_with_its_former_self(world: World) -> None:
    run = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    asleep, pool = world.store.ledger(POOL), pool_named(world.ports, POOL)
    cancel(world.ports, run.id)
    world.drain()
    delete_pool(world.ports, POOL)
    assert world.store.ledger(POOL).holders == ()
    with pytest.raises(Conflict):
        world.store.commit(apply(Snapshot(pool, asleep, {}), [], world.now))
    created = create_pool(world.ports, Pool(POOL, "process", limit=1), TEMPLATE)
    assert created.version > pool.version + 1
    for _ in range(5):
        with pytest.raises(Conflict):
            world.store.commit(apply(Snapshot(pool, asleep, {}), [], world.now))
        with pytest.raises(Conflict):
            world.store.save_pool(replace(pool, limit=5))
        submit(world.ports, Request(POOL))
        world.deliver_all()
    assert len(world.platform.live()) == 1
    world.drain()


def test_an_end_of_something_else_with_our_name_changes_nothing(world: World) -> None:
    run = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    world.deliver_all()
    other = Observation(run.id, 1, Status.ENDED, "some-other-task", exit_code=0)
    after = finish(world.ports, other)
    assert after is not None
    assert after.state is RunState.PENDING
    assert len(world.store.ledger(POOL).holders) == 1


def test_a_key_used_again_after_the_retention_can_execute(world: World) -> None:
    environ = {"PUSH_DISPATCH_SECRETS": "env"}
    reporter = Reporter("https://127.0.0.1:1", lambda: "key")
    world.ports = replace(world.ports, reporter=reporter, secrets=secrets_from(environ))
    for copy in ("first", "second"):
        run = submit(world.ports, Request(POOL, idempotency_key="daily")).run
        world.deliver_all()
        world.deliver_all()
        token = token_for("key", run.id, 1)
        assert receive(world.ports, Report(run.id, 1, "claim", copy), token).go, copy
        assert not receive(world.ports, Report(run.id, 1, "claim", "a copy of it"), token).go
        receive(world.ports, Report(run.id, 1, "end", copy, 0), token)
        assert world.runs()[0].state is RunState.COMPLETED
        world.store.keep_log(POOL, world.runs()[0].instance, 1, copy)
        assert world.store.kept_log(POOL, world.runs()[0].instance, 1) == copy
        world.platform.containers.clear()
        world.platform.starts.clear()
        world.platform.succeeded.clear()
        world.deliver_all()
        del world.store._runs[POOL, run.uuid]  # by its time to live
