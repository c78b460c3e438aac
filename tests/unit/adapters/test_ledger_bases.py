"""What is in the item of a ledger that has a base?"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from push_dispatch.adapters.dynamodb import items
from push_dispatch.adapters.dynamodb.ledger_bases import (
    Base,
    Head,
    base_items,
    head_item,
    next_head,
    read_base,
    read_head,
)
from push_dispatch.core.errors import Unreadable
from push_dispatch.core.model import Holder, Ledger

LARGEST_ITEM = 409_600


def holder(number: int, attempt: int = 1) -> Holder:
    key = ("", "a", "a much")[number % 3]
    weights = (("gpu", number + 1),) if number % 5 == 0 else ()
    return Holder(str(UUID(int=number)), attempt, "default", number, key, weights=weights)


@st.composite
def changed(draw: st.DrawFn) -> tuple[tuple[Holder, ...], Ledger]:
    """Holders of a base, and a ledger of some later moment: some are gone, others have come, in any
    order."""
    held = [holder(number) for number in range(draw(st.integers(1, 40)))]
    left = [one for one in held if draw(st.booleans())]
    again = [replace(one, attempt=2) for one in held if draw(st.integers(0, 9)) == 0]
    come = [holder(number) for number in range(100, 100 + draw(st.integers(0, 40)))]
    holders = [*left, *again, *come]
    if draw(st.booleans()):
        holders = draw(st.permutations(holders))
    ledger = Ledger("p", 9, tuple(holders), configuration=4, paced=7, starts={"": ((3, 2),)})
    return tuple(held), ledger


@given(changed())
def test_a_head_over_any_base_is_the_whole_ledger(case: tuple[tuple[Holder, ...], Ledger]) -> None:
    held, ledger = case
    base, parts = base_items(Ledger("p", 3, held), 1)
    head, _ = next_head(ledger, Head(Ledger("p", 8), base), held)
    read = read_head("p", head_item(head))
    assert read == head
    assert read_base(base, parts) == held
    assert read.whole(held) == ledger


@given(changed())
def test_a_version_that_knows_no_bases_finds_such_a_head_malformed(
    case: tuple[tuple[Holder, ...], Ledger],
) -> None:
    """Rolled back to, it refuses: it never takes the slots of the base for free."""
    held, ledger = case
    base, _ = base_items(Ledger("p", 3, held), 1)
    head, _ = next_head(ledger, Head(Ledger("p", 8), base), held)
    with pytest.raises(Unreadable, match="doctor --repair"):
        items.read_ledger("p", head_item(head))


def test_a_ledger_without_a_base_has_the_item_that_it_always_had() -> None:
    ledger = Ledger("p", 9, tuple(map(holder, range(20))), configuration=4)
    assert head_item(Head(ledger)) == items.ledger_item(ledger)
    assert read_head("p", items.ledger_item(ledger)) == Head(ledger)


def test_what_a_newer_version_writes_is_not_guessed() -> None:
    item = head_item(Head(Ledger("p", 9), Base(0, 1, 3, b"0" * 16)))
    item["holders"] = {"B": b"\x02" + item["holders"]["B"][1:]}
    with pytest.raises(Unreadable, match="newer"):
        read_head("p", item)


@pytest.mark.parametrize("length", [1, 20, 33, 36])
def test_a_head_that_is_cut_off_is_malformed(length: int) -> None:
    base, _ = base_items(Ledger("p", 3, (holder(1), holder(2))), 0)
    item = head_item(Head(Ledger("p", 9, (holder(3),)), base, gone=(0,)))
    item["holders"] = {"B": item["holders"]["B"][:length]}
    with pytest.raises(Unreadable):
        read_head("p", item)


def test_a_head_that_is_not_of_its_base_is_malformed() -> None:
    head = Head(Ledger("p", 9), Base(0, 1, 3, b"0" * 16), gone=(2,))
    with pytest.raises(Unreadable):
        head.whole((holder(1), holder(2)))


def test_another_base_in_the_same_place_is_not_taken_for_it() -> None:
    base, parts = base_items(Ledger("p", 3, (holder(1), holder(2))), 0)
    _, other = base_items(Ledger("p", 3, (holder(1), holder(3))), 0)
    assert read_base(base, other) is None
    assert read_base(base, []) is None
    assert read_base(base, [{**parts[0], "holders": {"B": b"x"}}]) is None
    assert read_base(base, [{"PK": {"S": "POOL#p"}}]) is None


def test_a_base_of_any_size_lies_in_parts_that_fit() -> None:
    keys = tuple((f"limit-{number:02}", "k" * 12) for number in range(20))
    holders = tuple(replace(holder(number), keys=keys) for number in range(2000))
    base, parts = base_items(Ledger("p", 3, holders), 1)
    assert base.parts == len(parts) > 1
    assert max(map(items.size_of, parts)) < LARGEST_ITEM
    assert read_base(base, parts) == holders
    assert [part["SK"]["S"] for part in parts] == [f"BASE#1#{n}" for n in range(len(parts))]


def test_a_base_is_due_when_its_heads_have_written_as_much() -> None:
    held = tuple(map(holder, range(100)))
    head = Head(Ledger("p", 1), base_items(Ledger("p", 1, held), 0)[0])
    ledger = Ledger("p", 1, held)
    commits, due = 0, False
    while not due:
        commits += 1
        come = (*ledger.holders[1:], holder(1000 + commits))
        ledger = replace(ledger, version=ledger.version + 1, holders=come)
        head, due = next_head(ledger, head, held)
    written = sum(range(1, commits))
    assert written < len(held) <= written + commits + commits // 16
