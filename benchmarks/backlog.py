"""Does a dispatch take longer if 50,000 runs wait than if none does?"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.world import POOL, figure
from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.bootstrap import embedded_ports
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool, Ready
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.submit import submit_many
from push_dispatch.ports import Ports

__all__ = ["main", "measured"]

WAITING = (0, 1000, 10_000, 50_000)
#: With the state in an emulator, in milliseconds.
WAS = (12, 41, 287, 1563)
PASSES = 50
_BATCH = 1000


def main() -> None:
    """Print the milliseconds of a pass in which one run ends and the next one starts."""
    print("one dispatch of a full pool, in which one run ends and one starts, by backlog")
    empty = 0.0
    for waiting, was in zip(WAITING, WAS, strict=True):
        taken = measured(waiting)
        empty = empty or taken
        ratio = f"{taken:.2f} ms {taken / empty:.2f}x"
        figure(f"{waiting} waiting", ratio, "2x", f"{was} ms {was / WAS[0]:.0f}x")


def measured(waiting: int) -> float:
    """The median of passes, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "state.db")
        ports = embedded_ports(database, {})
        template = {"job_configuration": {"command": "true"}, "variables": {}}
        create_pool(ports, Pool(POOL, "process", limit=10), template)
        _fill(ports, waiting + 10 + PASSES)
        taken = [_pass(ports) for _ in range(PASSES)]
        database.close()
    return median(taken)


def _fill(ports: Ports, runs: int) -> None:
    for start in range(0, runs, _BATCH):
        submitted = submit_many(ports, copies(Request(POOL), min(_BATCH, runs - start)))
        dispatch(ports, POOL, Hints(waiting=[Ready.of(each.run) for each in submitted]))


def _pass(ports: Ports) -> float:
    ended = ports.store.ledger(POOL).holders[0].slot
    began = time.perf_counter()
    passed = dispatch(ports, POOL, Hints(ended={ended}))
    taken = time.perf_counter() - began
    assert (passed.released, len(passed.admitted)) == (1, 1)
    return taken * 1000
