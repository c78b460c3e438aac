"""What do the nouns say about themselves, and which names and numbers are taken?"""

from __future__ import annotations

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import (
    MAX_SLOTS,
    Holder,
    Ledger,
    Pool,
    Queue,
    Ready,
    Run,
    RunState,
    Slot,
    check_limit,
    check_name,
    check_priority,
    is_uuid,
    parse_run_id,
)

ID = "0199c1f0-0000-7000-8000-000000000001"


def run(state: RunState = RunState.SCHEDULED, attempt: int = 0) -> Run:
    return Run("p", ID, "q", due=5, submitted_at=1, order="o", state=state, attempt=attempt)


def holder(uuid: str, attempt: int = 1) -> Holder:
    return Holder(uuid, attempt, "q", 0)


def test_queues_are_served_by_priority_however_they_are_kept() -> None:
    pool = Pool("p", "ecs", queues=(Queue("b", 7), Queue("a", 9), Queue("c", 1)))

    assert [queue.name for queue in pool.in_order] == ["c", "b", "a"]
    assert pool.queue("a") == Queue("a", 9)
    assert pool.queue("z") is None


@pytest.mark.parametrize(
    ("limit", "slots"), [(None, MAX_SLOTS), (0, 0), (3, 3), (MAX_SLOTS + 1, MAX_SLOTS)]
)
def test_the_slots_of_a_pool(limit: int | None, slots: int) -> None:
    assert Pool("p", "ecs", limit=limit).slots == slots


# -- the ledger ---------------------------------------------------------------------------------


def test_a_release_names_the_attempt() -> None:
    ledger = Ledger("p", 3, (holder("a"), holder("b", 2)))

    assert ledger.without([Slot("a", 1)]).holders == (holder("b", 2),)


def test_late_news_of_an_earlier_attempt_releases_nothing() -> None:
    ledger = Ledger("p", 3, (holder("a", 2),))

    assert ledger.without([Slot("a", 1)]) is ledger


def test_the_end_of_a_later_attempt_releases_the_earlier_ones() -> None:
    """A cancelled run has ended with the attempt that it was waiting for."""
    ledger = Ledger("p", 3, (holder("a", 1),))

    assert ledger.without([Slot("a", 2), Slot("a", 0)]).holders == ()


def test_a_double_release_is_nothing() -> None:
    once = Ledger("p", 3, (holder("a"),)).without([Slot("a", 1)])

    assert once.without([Slot("a", 1)]) is once


# -- runs ---------------------------------------------------------------------------------------


def test_a_waiting_run_waits_for_its_next_attempt() -> None:
    waiting = run(attempt=2)

    assert waiting.waits_for(3)
    assert not waiting.waits_for(2)
    assert Ready.of(waiting).slot == Slot(ID, 3)


@pytest.mark.parametrize(
    ("state", "attempt", "received", "ended"),
    [
        (RunState.SCHEDULED, 1, 1, True),
        (RunState.SCHEDULED, 1, 2, False),
        (RunState.PENDING, 2, 1, True),
        (RunState.PENDING, 2, 2, False),
        (RunState.CANCELLING, 2, 2, False),
        (RunState.COMPLETED, 2, 2, True),
        (RunState.CANCELLED, 0, 1, True),
    ],
)
def test_when_an_attempt_is_over(state: RunState, attempt: int, received: int, ended: bool) -> None:
    assert run(state, attempt).has_ended(received) is ended


def test_a_run_is_named_after_its_pool() -> None:
    assert run().id == f"p.{ID}"
    assert parse_run_id(f"p.{ID}") == ("p", ID)


@pytest.mark.parametrize("text", ["", ID, f".{ID}", "p.", "p.1", f"p q.{ID}", f"p.{ID.upper()}F"])
def test_what_is_not_the_id_of_a_run(text: str) -> None:
    with pytest.raises(Invalid):
        parse_run_id(text)


def test_what_is_a_uuid() -> None:
    assert is_uuid(ID)
    assert not is_uuid(ID.replace("-", ""))
    assert not is_uuid(ID + "\n")


# -- what people type ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "A-1_b", "0", "x" * 63])
def test_a_name(name: str) -> None:
    assert check_name(name, "pool") == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "a.b", "a b", "a\n", "ä", "x" * 64, "a/b"])
def test_what_is_not_a_name(name: str) -> None:
    with pytest.raises(Invalid, match="is not valid") as caught:
        check_name(name, "pool")
    assert caught.value.reason == "invalid_name"


def test_a_name_that_is_far_too_long_is_not_repeated_whole() -> None:
    with pytest.raises(Invalid, match=r"'x{40}…' \(1000 characters\)|x{40}… \(1000 characters\)"):
        check_name("x" * 1000, "queue")


@pytest.mark.parametrize("limit", [None, 0, 1, MAX_SLOTS])
def test_a_limit(limit: int | None) -> None:
    assert check_limit(limit, "pool 'p'") == limit


@pytest.mark.parametrize("limit", [-1, MAX_SLOTS + 1])
def test_what_is_not_a_limit(limit: int) -> None:
    with pytest.raises(Invalid, match=f"limit {limit} of pool 'p'") as caught:
        check_limit(limit, "pool 'p'")
    assert caught.value.reason == "invalid_limit"


def test_a_priority_is_at_least_one() -> None:
    assert check_priority(1, "queue 'q'") == 1
    with pytest.raises(Invalid, match="priority 0 of queue 'q'") as caught:
        check_priority(0, "queue 'q'")
    assert caught.value.reason == "invalid_priority"
