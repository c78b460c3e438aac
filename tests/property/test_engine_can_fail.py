"""Would the state machine notice if a guarantee were broken? One condition is removed at a time,
and what it says must be about that condition."""

from __future__ import annotations

import inspect
import logging
import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from push_dispatch.core import admission, lifecycle, model
from push_dispatch.core.events import Claim
from push_dispatch.core.lifecycle import advance
from push_dispatch.core.model import Ledger, Pool, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine import sweep
from push_dispatch.engine.submit import submit_many
from push_dispatch.ports.store import Change
from tests.fakes.memory.store import MemoryStore
from tests.fakes.world import POOL, World
from tests.property.test_engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: A search ends with what it finds, within 500 examples as a rule; which ones are tried changes
#: with the code.
SEARCH = settings(
    max_examples=4000,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class LedgerWithoutVersion(MemoryStore):
    """Whoever commits last wins."""

    def commit(self, ledger: Ledger) -> None:
        self._ledgers[ledger.pool] = ledger


class RunsWithoutRevision(MemoryStore):
    """Whoever saves last wins."""

    def save_run(self, run: Run) -> None:
        stored = self._runs.get((run.pool, run.uuid))
        self._runs[run.pool, run.uuid] = run
        self.changes.append(Change(run.pool, stored, run))

    def claim_run(self, pool: str, uuid: str, claim: Claim, now: int) -> Run | None:
        stored = self._runs.get((pool, uuid))
        if stored is not None:
            never: dict[str, Any] = {"attempt": 0, "attempts": (), "stop": None, "ended_at": None}
            waiting = replace(stored, state=RunState.SCHEDULED, **never)
            self.save_run(advance(waiting, claim, now))
        return self._runs.get((pool, uuid))


class LimitsThatMoveNothing(MemoryStore):
    """A change of the configuration leaves the ledger's version as it is."""

    def save_pool(self, pool: Pool) -> Pool:
        ledger = self.ledger(pool.name)
        saved = super().save_pool(pool)
        self._ledgers[pool.name] = ledger
        return saved


class KeysThatAreForgotten(MemoryStore):
    """The same idempotency key creates another run."""

    def add_run(self, run: Run) -> Run:
        return super().add_run(replace(run, uuid=run.order))


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (LedgerWithoutVersion, "configuration that had been replaced|lost its slot"),
        (RunsWithoutRevision, "and became|went from attempt|cancelled before it started"),
        (LimitsThatMoveNothing, "configuration that had been replaced"),
        (KeysThatAreForgotten, "have several runs each"),
    ],
)
def test_a_store_without_a_condition_is_found_out(broken: type[MemoryStore], what: str) -> None:
    class Broken(Engine):
        def make_world(self) -> World:
            return World(broken())

    with pytest.raises(AssertionError, match=what):
        run_state_machine_as_test(Broken, settings=SEARCH)


WAITS = "_Desk.reason_to_wait"


@pytest.mark.parametrize(
    ("module", "where", "clause", "instead", "what"),
    [
        (admission, WAITS, "pool.paused", "False", "a paused pool admitted"),
        (admission, WAITS, "queue.paused", "False", "is paused or gone"),
        (admission, WAITS, "queue.limit is not None", "False", "queue .*: more than"),
        (admission, WAITS, "used.total >= pool.slots", "False", "slots held of"),
        (admission, WAITS, "used.key_is_full(pool, queue, ready)", "False", "slots of one key"),
        (admission, "_Desk.serve", "ready.expires is not None", "False", "had expired"),
        (admission, "in_turn", "pool.in_order:", "pool.in_order[::-1]:", "was passed by"),
        # Late news of one attempt is taken for news of the next.
        (model, "Ledger.without", "h.attempt > last.get(h.run, -1)", "h.run not in last", "slot"),
        # An order to stop is taken for the end.
        (model, "Run.has_ended", "self.state.ended", "self.stop", "slot"),
        # What a crash has left half-done stays so.
        (sweep, "push_again", "in held", "in ()", r"not \[(Run|Ready)"),
        (sweep, "poll_silent", "in held", "in ()", r"not \[(Run|Ready)"),
    ],
)
def test_an_engine_without_a_condition_is_found_out(
    module: Any,
    where: str,
    clause: str,
    instead: str,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *owner, name = where.split(".")
    target = getattr(module, owner[0]) if owner else module
    monkeypatch.setattr(target, name, _changed(getattr(target, name), clause, instead))
    with pytest.raises(AssertionError, match=what):
        run_state_machine_as_test(Engine, settings=SEARCH)


def test_the_untouched_engine_passes_the_same_search() -> None:
    run_state_machine_as_test(Engine, settings=settings(SEARCH, max_examples=600))


def test_late_news_taken_for_the_next_attempts_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not searched for: few random steps make an attempt end, the next one start, and the end of
    the first one arrive once more."""
    _late_news(World())
    changed = _changed(lifecycle._is_current, "run.attempt == attempt", "True")
    monkeypatch.setattr(lifecycle, "_is_current", changed)
    with pytest.raises(AssertionError, match="slot"):
        _late_news(World())


def _late_news(world: World) -> None:
    submit_many(world.ports, [Request(POOL, retries=1, retry_delay_seconds=0)])
    world.deliver_all()
    [first] = world.platform.live()
    world.platform.end(first, 1)
    [ended] = world.platform.events
    for _ in range(5):  # It ends; its slot is given back; the retry is due, admitted and pushed.
        world.now += 1000
        world.deliver_all()
    [second] = world.platform.live()
    assert second.job.attempt == first.job.attempt + 1
    world.platform.events.append(replace(ended, handle=None))  # Not all events name it.
    world.deliver_all()
    world.deliver_all()  # What the first has changed.
    world.guarantees.check(world.now)


def _changed(function: Any, clause: str, instead: str) -> Any:
    """The function with another text in the place of the clause."""
    source = textwrap.dedent(inspect.getsource(function))
    changed, count = re.subn(re.escape(clause), instead, source)
    assert count == 1
    names = dict(function.__globals__)
    exec(compile(changed, "mutant", "exec", flags=annotations.compiler_flag), names)
    return names[function.__name__]


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
