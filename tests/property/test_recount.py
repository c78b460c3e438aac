"""Is nothing lost for good when changes of the table are, and is all that goes well left alone?

The engine's state machine, in a world whose stream loses what it has not delivered yet.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from push_dispatch.engine import sweep
from push_dispatch.engine.recount import put_right, recount
from tests.fakes.world import POOL
from tests.property.test_engine import Engine

#: It ends with the first that it finds; which examples are tried changes with the code.
SEARCH = settings(
    max_examples=1000,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)


class Forgetful(Engine):
    """As every engine, but for a stream that forgets."""

    @rule(count=st.integers(1, 10))
    def stream_forgets(self, count: int) -> None:
        """What was a dead letter, or older than a day."""
        self.world.collect()
        del self.world.changes[:count]

    @rule(every_run=st.booleans())
    def doctor_comes(self, every_run: bool) -> None:
        """Beside anything else, and may be killed like everybody."""
        self.do(lambda: self.repair(every_run=every_run))

    def repair(self, *, every_run: bool) -> None:
        ports = self.world.ports
        pool = ports.store.pool(POOL)
        assert pool is not None
        put_right(ports, recount(ports, pool, every_run=every_run))

    def teardown(self) -> None:
        self.world.faults.disarm()
        self.world.collect()
        self.world.changes.clear()
        self.world.now += 61_000
        self.repair(every_run=True)
        super().teardown()
        pool = self.world.store.pool(POOL)
        assert pool is not None
        assert recount(self.world.ports, pool, every_run=True).right


class Untreated(Forgetful):
    """Nobody is there to repair anything."""

    def repair(self, *, every_run: bool) -> None:
        pass


TestForgetful = Forgetful.TestCase
# What it finds is not made smaller: each try drains a world that will not drain, for minutes.
TestForgetful.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_for_longer() -> None:
    run_state_machine_as_test(
        Forgetful, settings=settings(max_examples=200, stateful_step_count=50)
    )


def test_without_any_repair_runs_would_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the operator's, nor the audit of each sweep, which finds lost runs by itself."""
    monkeypatch.setattr(sweep, "audit", lambda *_: 0)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Untreated, settings=SEARCH)
