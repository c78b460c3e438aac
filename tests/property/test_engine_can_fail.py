"""Would the state machine notice if a guarantee were broken? One condition is removed at a time."""

from __future__ import annotations

import inspect
import logging
import re
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import push_dispatch.dispatch
from push_dispatch import admission
from push_dispatch.model import Run
from push_dispatch.store import Change
from push_dispatch.store.memory import MemoryStore
from tests.fakes.world import World
from tests.property.test_engine import Engine

pytestmark = pytest.mark.slow

SEARCH = settings(
    max_examples=400,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class RunsWithoutRevision(MemoryStore):
    def save_run(self, run: Run) -> None:
        stored = self._runs.get((run.pool, run.uuid))
        self._runs[run.pool, run.uuid] = run
        self.changes.append(Change(run.pool, stored, run))


def test_a_store_that_overwrites_what_it_has_not_seen_is_found_out() -> None:
    """The same for the ledger's condition: see test_race.py, where real functions race."""

    class Broken(Engine):
        def make_world(self) -> World:
            return World(RunsWithoutRevision())

    with pytest.raises(BaseException):  # noqa: B017 - hypothesis may raise a group
        run_state_machine_as_test(Broken, settings=SEARCH)


@pytest.mark.parametrize(
    "clause",
    [
        r"        if pool\.paused:\n            return \"pool_paused\"\n",
        r"        if queue\.paused:\n            return \"queue_paused\"\n",
        r"        if queue\.limit is not None[^\n]*\n            return \"queue_limit\"\n",
        r"        if used\.total >= [^\n]*\n            return [^\n]*\n",
        r"        if used\.key_is_full[^\n]*\n            return [^\n]*\n",
    ],
    ids=["pool paused", "queue paused", "queue limit", "pool limit", "key limit"],
)
def test_a_decision_without_a_clause_is_found_out(
    clause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _without(admission, clause)
    monkeypatch.setattr(push_dispatch.dispatch, "decide", broken.decide)
    with pytest.raises(BaseException):  # noqa: B017 - hypothesis may raise a group
        run_state_machine_as_test(Engine, settings=SEARCH)


def test_the_untouched_engine_passes_the_same_search() -> None:
    run_state_machine_as_test(Engine, settings=SEARCH)


def _without(module: types.ModuleType, pattern: str) -> Any:
    """A copy of the module in which what matches is missing."""
    changed, count = re.subn(pattern, "", inspect.getsource(module))
    assert count == 1
    copy = types.ModuleType(module.__name__)
    exec(compile(changed, "mutant", "exec"), copy.__dict__)
    return copy


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)
