"""Does a run cost what docs/reference/cost.md says?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.items import run_item, size_of
from push_dispatch.bootstrap import now
from push_dispatch.core.request import Request
from push_dispatch.engine.hints import hints_of
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
    told = _table("One run in an idle pool")
    assert {name: list(step) for name, step in steps.items()} == {
        name: told[name] for name in steps
    }
    assert told["in all"] == [sum(column) for column in zip(*steps.values(), strict=True)]


@pytest.mark.parametrize("count", [1, 10, 100])
def test_writes_of_runs_that_share_commits(lives: Callable[[str], Lives], count: int) -> None:
    """5 + 2·L/k: five writes of their own, and two ledger writes of L kilobytes for k runs."""
    life = lives("busy")
    ledgers = _largest_ledger(life)
    writes = sum(step[1] for step in life.steps(count).values())
    kilobytes = -(-max(ledgers) // 1024)
    assert writes == 5 * count + 2 * kilobytes
    assert kilobytes == {1: 1, 10: 1, 100: 4}[count]


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


def _largest_ledger(life: Lives) -> list[int]:
    """The sizes of the ledgers that are written, as they are written."""
    sizes: list[int] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "PutItem" and params["Item"]["SK"]["S"] == "LEDGER":
            sizes.append(size_of(params["Item"]))

    life.store._table.client.meta.events.register("provide-client-params.dynamodb", note)
    return sizes


def _table(title: str) -> dict[str, list[float]]:
    """The numbers of the table under this heading, by the text of their row."""
    section = DOCUMENT.read_text("utf-8").split(f"## {title}\n", 1)[1].split("## ")[0]
    row = re.compile(r"^\| ([^|]+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)
    rows = row.findall(section)
    return {name.strip("*"): [float(n) for n in numbers] for name, *numbers in rows}
