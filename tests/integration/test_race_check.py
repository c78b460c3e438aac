"""Does the checker of the race see each kind of mistake? One history by hand for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.core.model import Attempt, Ledger, Run, RunState
from tests.contract.store import values
from tests.integration.race_check import Commit, Limits, violations

IDS = [f"0199c1f0-0000-7000-8000-00000000000{n}" for n in range(4)]
POOL = Limits(1, 2, paused=False, queues={"high": (1, 1, False), "low": (2, None, False)})


def commit(version: int, before: str, after: str, seen: str = "") -> Commit:
    """The ledger's holders before and after, and the places read: `0h` is run 0 in queue high."""
    queues = {"h": "high", "l": "low"}

    def ledger(number: int, text: str) -> Ledger:
        held = [values.holder(IDS[int(t[0])], queue=queues[t[1]]) for t in text.split()]
        return Ledger("p", version=number, holders=tuple(held), configuration=1)

    read: dict[str, Any] = {}
    for place in seen.split():
        queue = queues[place[1]]
        read.setdefault(queue, []).append(values.place(IDS[int(place[0])], queue=queue))
    return Commit(version * 10, ledger(version - 1, before), ledger(version, after), read)


def ended(*times: int) -> dict[str, Run]:
    """The runs, ended at these times, all after one attempt that was claimed a moment before."""
    return {
        uuid: values.run(
            "p",
            uuid,
            state=RunState.COMPLETED,
            ended_at=at,
            attempts=(Attempt(1, "ecs", claimed_at=at - 1),),
        )
        for uuid, at in zip(IDS, times, strict=False)
    }


RIGHT = [
    commit(1, "", "0h 1l", "0h 2h 1l"),
    commit(2, "0h 1l", "1l 2h", "2h 3l"),
    commit(3, "1l 2h", "3l", "3l"),
    commit(4, "3l", ""),
]
ENDS = ended(15, 25, 28, 38)


def problems(history: list[Commit], limits: Limits = POOL, runs: Any = ENDS) -> str:
    return "\n".join(violations(history, {limits.version: limits}, runs))


def test_right_history_is_right() -> None:
    assert problems(RIGHT) == ""


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ([*RIGHT, commit(4, "3l", "0h")], "version 4 was written twice"),
        ([*RIGHT[:1], commit(2, "0h 1l", "0h 1l 3l"), *RIGHT[2:]], "3 slots of 2"),
        ([*RIGHT[:1], commit(2, "0h 1l", "0h 2h"), *RIGHT[2:]], "2 slots of 1 in queue high"),
        ([RIGHT[0], commit(2, "0h 1l", "2h"), *RIGHT[2:]], "is gone before its end"),
        ([*RIGHT[:3]], "1 slots are held for ever"),
        ([*RIGHT, commit(5, "", "0h"), commit(6, "0h", "")], "was admitted 2 times"),
        ([*RIGHT[:1], commit(2, "0h 1l", "1l 2h"), *RIGHT[3:]], "has run without a slot"),
        ([commit(1, "", "1l", "0h 1l")], f"{IDS[1]} of low starts before {IDS[0]} of high"),
        ([commit(1, "", "1l", "0l 1l")], f"{IDS[1]} of low starts before {IDS[0]} of low"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_history_is_seen(history: list[Commit], problem: str) -> None:
    assert problem in problems(history)


def test_admission_into_a_paused_pool_is_seen() -> None:
    assert "admits into a paused pool" in problems(RIGHT, replace(POOL, paused=True))


def test_decision_under_an_old_configuration_is_seen() -> None:
    changed = replace(POOL, version=2, holds_from=1)
    found = violations(RIGHT, {1: POOL, 2: changed}, ENDS)
    assert "version 2 was decided under configuration 1" in found


def test_too_many_under_way_at_once_are_seen() -> None:
    assert "3 runs were under way at once" in problems(RIGHT, runs=ended(15, 15, 15, 38))
