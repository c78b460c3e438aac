"""Does the store keep places in line in order, and know which of them time will change?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from push_dispatch.core.model import NOT_DUE_LANE, Collision, Edge
from push_dispatch.ports.store import Store
from tests.contract.store import values
from tests.contract.store.suite import StoreSuite

__all__ = ["LineContract"]

NOW = values.NOW
MANY = 120


class LineContract(StoreSuite):
    """`enqueue` to `ticked`."""

    def test_empty_line(self, store: Store, pool: str) -> None:
        assert store.line(pool, "default", 10) == []

    def test_place_comes_back_whole(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        places = [
            values.place(next(ids)),
            values.place(
                next(ids),
                attempt=70_000,
                debounce_seconds=30,
                debounce_edge=Edge.LEADING,
                expires=NOW + 5,
                concurrency_key="a # b é",
                deployment="nightly",
                collision=Collision.CANCEL_NEW,
            ),
            values.place(next(ids), collision=Collision.CANCEL_NEW),
            values.place(next(ids), deployment="nightly"),
            values.place(next(ids), order=next(ids)),
            values.place(
                next(ids),
                keys=(("everyone", ""), ("tenant", "a")),
                weights=(("gpu", 1000), ("vcpu", 250)),
                timeout_seconds=60,
                under="0123456789abcdef",
            ),
        ]
        store.enqueue(pool, places, NOW)
        assert store.line(pool, "default", 10) == places

    def test_who_should_start_earlier_goes_first_and_who_is_not_due_waits_beside(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        plain, late, soon = (
            values.place(next(ids), start_by=at) for at in (None, NOW + 9000, NOW + 5000)
        )
        later = values.place(next(ids), due=NOW + 9, start_by=NOW + 100)
        store.enqueue(pool, [plain, late, soon, later], NOW)
        assert store.line(pool, "default", 10, due=NOW) == [soon, late, plain]
        [beside] = store.line(pool, "default", 10, lane="")
        assert (beside, beside.lane) == (later, NOT_DUE_LANE)
        assert store.in_line(pool, [later, soon]) == {later, soon}
        store.enqueue(pool, [later], NOW + 9)
        assert store.line(pool, "default", 1) == [later]
        store.dequeue(pool, [later, soon, late, plain])
        assert store.line(pool, "default", 10) == store.line(pool, "default", 10, lane="") == []

    def test_one_that_was_boosted_goes_before_those_that_are_due_earlier(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        first, boosted = values.place(next(ids)), values.place(next(ids), due=NOW + 9, boost=10)
        store.enqueue(pool, [first, boosted], NOW)
        assert store.line(pool, "default", 10, due=NOW) == [boosted, first]
        assert store.line(pool, "default", 10, after=boosted) == [first]
        store.dequeue(pool, [boosted])
        assert store.line(pool, "default", 10) == [first]

    def test_order_is_due_time_then_submission(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        a, b, c, d = islice(ids, 4)
        places = [
            values.place(d, due=5),
            values.place(b, due=NOW - 1),
            values.place(a, due=NOW),
            values.place(c, due=NOW),
        ]
        store.enqueue(pool, places[::-1], NOW)
        assert store.line(pool, "default", 10) == places

    def test_enqueueing_twice_is_fine(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        place = values.place(next(ids))
        store.enqueue(pool, [place, place], NOW)
        store.enqueue(pool, [place], NOW)
        assert store.line(pool, "default", 10) == [place]
        store.enqueue(pool, [], NOW)

    def test_line_is_read_in_pages(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        places = [values.place(uuid) for uuid in islice(ids, MANY)]
        store.enqueue(pool, places, NOW)
        assert store.line(pool, "default", MANY * 2) == places
        read = store.line(pool, "default", 50)
        while page := store.line(pool, "default", 50, after=read[-1]):
            read += page
        assert read == places

    def test_line_ends_at_the_due_time(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        places = [values.place(next(ids), due=NOW + n) for n in range(4)]
        store.enqueue(pool, places, NOW)
        assert store.line(pool, "default", 10, due=NOW + 1) == places[:2]
        assert store.line(pool, "default", 10, due=NOW - 1) == []
        assert store.line(pool, "default", 10, after=places[0], due=NOW + 2) == places[1:3]
        assert store.line(pool, "default", 10, after=places[3], due=NOW + 1) == []

    def test_queues_do_not_mix(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        names = ["a", "a-b", "ab", "A", "a_", "0"]
        places = {name: values.place(next(ids), queue=name) for name in names}
        store.enqueue(pool, list(places.values()), NOW)
        for name in names:
            assert store.line(pool, name, 10) == [places[name]]

    def test_pools_do_not_mix(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        place = values.place(next(ids))
        store.enqueue(pool, [place], NOW)
        assert store.line(f"{pool}-other", "default", 10) == []

    def test_dequeueing_is_idempotent(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        places = [values.place(uuid) for uuid in islice(ids, MANY)]
        store.enqueue(pool, places, NOW)
        store.dequeue(pool, [*places[1:], places[1]])
        store.dequeue(pool, places[1:])
        store.dequeue(pool, [])
        assert store.line(pool, "default", 10) == places[:1]

    def test_what_is_due_now_needs_no_tick(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        store.enqueue(pool, [values.place(next(ids))], NOW)
        assert store.ticks(pool, NOW * 2, 10) == []

    def test_ticks_come_at_the_due_time_and_at_the_expiry(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        later = values.place(next(ids), due=NOW + 30)
        expiring = values.place(next(ids), expires=NOW + 20)
        both = values.place(next(ids), due=NOW + 10, expires=NOW + 40)
        store.enqueue(pool, [later, expiring, both], NOW)
        assert store.ticks(pool, NOW + 9, 10) == []
        assert store.ticks(pool, NOW + 10, 10) == [both]
        assert store.ticks(pool, NOW + 30, 10) == [both, expiring, later]
        assert store.ticks(pool, NOW + 30, 2) == [both, expiring]
        assert store.ticks(f"{pool}-other", NOW + 30, 10) == []

    def test_ticked_place_waits_for_its_next_tick(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        place = values.place(next(ids), due=NOW + 10, expires=NOW + 40)
        store.enqueue(pool, [place], NOW)
        store.ticked(pool, place, NOW + 40)
        assert store.ticks(pool, NOW + 39, 10) == []
        assert store.ticks(pool, NOW + 40, 10) == [place]
        store.ticked(pool, place, None)
        store.ticked(pool, place, None)
        assert store.ticks(pool, NOW * 2, 10) == []
        assert store.line(pool, "default", 10) == [place]

    def test_which_places_are_in_line(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        places = [values.place(uuid) for uuid in islice(ids, 130)]
        moved = replace(places[0], attempt=2)
        store.enqueue(pool, places[:120], NOW)
        assert store.in_line(pool, places) == set(places[:120])
        assert store.in_line(pool, [moved]) == set(), "the place of another attempt"
        assert store.in_line(pool, []) == set()

    def test_ticking_a_place_that_is_gone_does_not_bring_it_back(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        place = values.place(next(ids), due=NOW + 10)
        store.enqueue(pool, [place], NOW)
        store.dequeue(pool, [place])
        store.ticked(pool, place, NOW + 20)
        store.ticked(pool, place, None)
        assert store.line(pool, "default", 10) == []
        assert store.ticks(pool, NOW * 2, 10) == []
