"""Does a simulation start from any state that a pool can be in?"""

from __future__ import annotations

from push_dispatch.core.model import Holder, Ledger, Pool, Ready
from push_dispatch.core.simulate import Arrival, simulate


def test_a_run_that_waits_again_while_its_earlier_attempt_holds_a_slot() -> None:
    """The retry is in line before the ledger has released the attempt that failed."""
    pool = Pool("p", "process", limit=1)
    ledger = Ledger("p", 1, (Holder("run", 1, "default", 1),))
    waiting = Arrival(0, 10, Ready("default", 0, "", "run", attempt=2))
    [fate] = simulate(pool, [waiting], ledger=ledger, remaining={ledger.holders[0].slot: 5})
    assert (fate.started, fate.ended) == (5, 15)
