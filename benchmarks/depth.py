"""How much does a pass read when a million runs wait?

A million places in 100,000 keys, each key with one slot, in the worst order: all runs of a key
stand one behind the other. Slots become free in random numbers; each pass is counted, with what it
reads of lanes.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.world import Nowhere, figure
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.core.model import Pool, Ready, Run, Slot
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import Hints
from push_dispatch.ports import Ports
from push_dispatch.ports.store import Overview
from tests.fakes.memory.store import MemoryStore

__all__ = ["main"]

POOL = "deep"
KEYS, OF_A_KEY = 100_000, 10
SLOTS = 200
ROUNDS = 300
SEED = 20261127
NOW = 1_800_000_000_000


@dataclass
class Deep(MemoryStore):
    """Counts what each pass reads; knows of each place the run that it is of."""

    #: Free slots, and places read, of each pass.
    passes: list[list[int]] = field(default_factory=list)
    #: Slots that this dispatch is told of.
    ended: set[Slot] = field(default_factory=set)

    def overview(self, pool: str) -> Overview:
        """The read with which a pass begins."""
        held = {holder.slot for holder in self.ledger(pool).holders}
        self.passes.append([SLOTS - len(held - self.ended), 0])
        return super().overview(pool)  # It reads the heads by `line`.

    def line(self, *arguments: Any, **named: Any) -> list[Ready]:
        found = super().line(*arguments, **named)
        if self.passes:
            self.passes[-1][1] += len(found)
        return found

    def runs(self, pool: str, uuids: Iterable[str]) -> dict[str, Run]:
        del pool
        return {uuid: _run(int(uuid[-12:])) for uuid in uuids}


def main() -> None:
    """Print the most that a pass has read, beside what it may read, and what it has taken."""
    store = Deep()
    ports = Ports(
        store=store,
        messages=Nowhere(),
        clock=lambda: NOW,
        new_id=lambda: "",
        platform=lambda _name: None,  # type: ignore[arg-type,return-value]
        secrets=secrets_from({}),
    )
    store.create_pool(Pool(POOL, "process", limit=SLOTS, key_limit=1, laned=True))
    waiting = KEYS * OF_A_KEY
    for first in range(0, waiting, 10_000):
        places = [Ready.of(_run(number)) for number in range(first, first + 10_000)]
        store.enqueue(POOL, places, NOW)
    worst, took, violations = _play(ports, store)
    print(f"{waiting:,} runs wait in {KEYS:,} keys of one slot each; {SLOTS} slots; seed {SEED}")
    print(f"{len(took)} dispatches, {len(store.passes)} passes")
    figure("places a pass reads beyond 2 x free slots", str(worst), "25", "-")
    figure("over a limit", str(violations), "0", "-")
    figure("a dispatch, p50", f"{1000 * took[len(took) // 2]:.1f} ms", "none", "-")
    figure("at most", f"{1000 * took[-1]:.0f} ms", "none", "-")


def _play(ports: Ports, store: Deep) -> tuple[int, list[float], int]:
    dice = random.Random(SEED)
    took, violations = [], 0
    for _ in range(ROUNDS):
        held = list(store.ledger(POOL).holders)
        count = min(len(held), dice.choice((1, 1, 2, 5, 20, 100)))
        store.ended = {Slot(h.run, h.attempt) for h in dice.sample(held, count)}
        began = time.perf_counter()
        dispatch(ports, POOL, Hints(ended=store.ended))
        took.append(time.perf_counter() - began)
        holders = store.ledger(POOL).holders
        keys = Counter(h.concurrency_key for h in holders)
        violations += len(holders) != SLOTS or max(keys.values()) > 1
    worst = max(read - 2 * free for free, read in store.passes)
    return worst, sorted(took), violations


def _run(number: int) -> Run:
    uuid = f"00000000-0000-7000-8000-{number:012d}"
    key = f"k{number // OF_A_KEY}"
    return Run(POOL, uuid, "default", NOW, NOW, uuid, concurrency_key=key)
