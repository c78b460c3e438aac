"""Does a run cost what docs/reference/cost.md says?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from push_dispatch.adapters.dynamodb.items import run_item, size_of
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.bootstrap import now
from push_dispatch.core.model import Holder
from push_dispatch.core.polling import IN_AWS
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import poll
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.polls import begin
from push_dispatch.engine.sweep import sweep
from push_dispatch.ports.messages import Poll
from push_dispatch.ports.store import Change
from tests.fakes.lives import VARIABLES, Lives, lives_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "cost.md"


@pytest.fixture
def lives() -> Iterator[Callable[[str], Lives]]:
    """Lives in a pool of that name."""
    with lives_of() as start:
        yield start


def test_single_run_costs_what_the_table_says(lives: Callable[[str], Lives]) -> None:
    lives("warm").steps(1)
    steps = lives("etl").steps(1)
    reported = _table("One run in an idle pool")
    assert {name: list(step) for name, step in steps.items()} == {
        name: reported[name] for name in steps
    }
    assert reported["in all"] == [sum(column) for column in zip(*steps.values(), strict=True)]


def test_a_run_that_is_dispatched_at_once_costs_what_the_table_says() -> None:
    with lives_of(eager=True) as start:
        start("warm").steps(1)
        steps = start("etl").steps(1)
    reported = _table("The same, dispatched at once")
    assert {name: list(step) for name, step in steps.items()} == {
        name: reported[name] for name in steps
    }
    assert reported["in all"] == [sum(column) for column in zip(*steps.values(), strict=True)]


@pytest.mark.parametrize(("count", "ledgers"), [(1, 2), (10, 2), (100, 6)])
def test_writes_of_runs_that_share_commits(
    lives: Callable[[str], Lives], count: int, ledgers: int
) -> None:
    """Five writes of their own, and two of the ledger; of 100 slots it has a base of 4 KB."""
    writes = sum(step[1] for step in lives("busy").steps(count).values())
    assert writes == 5 * count + ledgers


def test_a_run_costs_about_the_same_however_many_slots_are_held(
    lives: Callable[[str], Lives],
) -> None:
    """One run a commit, the oldest holder leaves: two commits, and its share of the bases."""
    few = 5 + _writes_of_a_run(lives("few"), 10, 10)
    assert few == 7
    assert 5 + _writes_of_a_run(lives("many"), 1000, 40) <= 1.3 * few
    assert 5 + _writes_of_a_run(lives("most"), 5000, 75) <= 1.8 * few


def test_waiting_runs_cost_the_others_nothing(lives: Callable[[str], Lives]) -> None:
    lives("warm").steps(1)
    alone, crowded = lives("alone"), lives("crowded")
    waiting = [Request("crowded", variables=VARIABLES, at=now() + 10**9) for _ in range(60)]
    runs = [crowded.submit(request) for request in waiting]
    changes = [Change("crowded", None, run) for run in runs]
    crowded.store.enqueue(
        "crowded", hints_of(changes)["crowded"].waiting, now()
    )  # No wake: they are not due for days.
    assert crowded.steps(1) == alone.steps(1)


def test_run_with_an_end_fits_into_a_kilobyte(lives: Callable[[str], Lives]) -> None:
    life = lives("etl-production-eu")
    life.steps(1)
    assert size_of(run_item(life.runs[0])) < 1024


def test_a_sweep_of_idle_pools_costs_what_the_page_says(
    lives: Callable[[str], Lives],
) -> None:
    life = lives("idle")
    client = life.store._table.client
    clock = Clock(now())
    store = DynamoStore(client, "cost", clock=clock)
    ports = replace(life.functions["dispatch"], store=store, clock=clock)
    clock.now += 61 * 60_000
    assert sweep(ports).pools == 1, "which finds that nothing has happened for an hour"
    names = ["idle", *(f"idle-{number:03}" for number in range(199))]
    _copy_pool(client, "idle", names[1:])
    visits = sum(crc32(name.encode()) % 60 == (clock.now // 60_000 + 1) % 60 for name in names)
    clock.now += 60_000
    life.meter.take()
    assert sweep(ports).pools == 0
    calls, writes, reads = life.meter.take()
    reported = _table("A pool in which nothing happens")
    lists, each = reported["the list of 200 pools"], reported["a pool, once an hour"]
    assert [calls - visits * each[0], writes, reads - visits * each[2]] == lists
    # A sixtieth of them is swept in each minute.
    a_month = 43_200 * (5 * lists[2] + 1000 / 60 * each[2]) * 0.125 / 1e6
    assert f"${a_month:.2f} a month for 1,000 pools" in DOCUMENT.read_text("utf-8")


def test_a_turn_to_poll_costs_what_the_page_says(lives: Callable[[str], Lives]) -> None:
    life = lives("polled")
    life._submit(2)
    life._dispatch()
    life._push()
    ports = replace(life.functions["push"], pauses=IN_AWS)
    life.meter.take()
    begin(ports, "polled", "ecs")
    reported = _table("An attempt that has to be polled")
    assert (
        list(life.meter.take()) == reported["to begin with: the turn is written, its message sent"]
    )
    [message] = life.outbox.sent
    assert isinstance(message, Poll)
    life.meter.take()
    poll(replace(ports, clock=lambda: message.at), message)
    each, attempt = (
        reported["each: the turn, the ledger, the next turn and its message"],
        reported["each attempt that is polled in it"],
    )
    assert list(life.meter.take()) == [a + 2 * b for a, b in zip(each, attempt, strict=True)]


def _copy_pool(client: Any, pool: str, names: list[str]) -> None:
    """List others as this one is."""
    key = {"PK": {"S": "POOLS"}, "SK": {"S": pool}}
    item = client.get_item(TableName="cost", Key=key)["Item"]
    puts = [{"PutRequest": {"Item": {**item, "SK": {"S": name}}}} for name in names]
    for start in range(0, len(puts), 25):
        client.batch_write_item(RequestItems={"cost": puts[start : start + 25]})


@dataclass
class Clock:
    """Epoch milliseconds."""

    now: int

    def __call__(self) -> int:
        return self.now


def _writes_of_a_run(life: Lives, held: int, count: int) -> float:
    """Write units of the ledger's for each of so many runs."""
    life.hold(held)
    ledger = life.store.ledger(life.pool)
    life.meter.take()
    for number in range(count):
        new = Holder(f"ffffffff-0000-7000-8000-{number:012x}", 1, "default", number)
        for holders in ((*ledger.holders, new), (*ledger.holders[1:], new)):
            ledger = replace(ledger, version=ledger.version + 1, holders=holders)
            life.store.commit(ledger)
    return life.meter.take()[1] / count


def _table(title: str) -> dict[str, list[float]]:
    """The numbers of the table under this heading, by the text of their row."""
    section = DOCUMENT.read_text("utf-8").split(f"## {title}\n", 1)[1].split("## ")[0]
    row = re.compile(r"^\| ([^|]+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)
    rows = row.findall(section)
    return {name.strip("*"): [float(n) for n in numbers] for name, *numbers in rows}
