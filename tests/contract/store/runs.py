"""Does the store keep runs, each exactly once, and let only one writer win?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from push_dispatch.core.errors import Conflict, Invalid
from push_dispatch.core.events import Claim
from push_dispatch.core.lifecycle import advance
from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.ports.store import Store
from tests.contract.store import values
from tests.contract.store.suite import StoreSuite

__all__ = ["RunContract"]

#: More than one answer of a store may hold (DynamoDB: 1 MB a page, 100 keys a batch).
MANY = 120
LARGE = 60_000
CLAIM = Claim(
    1, "ecs", "ecs", "0" * 16, "0199c1f0-1111-7222-8333-444455556666", values.NOW + 60_000
)


class RunContract(StoreSuite):
    """`add_run` to `list_runs`."""

    def test_unknown_run_is_none(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        assert store.run(pool, next(ids)) is None

    def test_small_run_comes_back(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        run = values.run(pool, next(ids))
        assert store.add_run(run) == run
        assert self.stored(store, run) == run

    def test_full_run_comes_back(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        run = values.full_run(pool, next(ids))
        assert store.add_run(run) == run
        assert self.stored(store, run) == run

    def test_an_attempt_is_taken_by_one(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        uuid = next(ids)
        assert [store.take_attempt(pool, uuid, 1, by) for by in "aba"] == [True, False, True]
        assert store.take_attempt(pool, uuid, 2, "b")

    def test_a_log_is_kept_once_for_each_attempt(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        uuid = next(ids)
        assert store.kept_log(pool, uuid, 1) is None
        store.keep_log(pool, uuid, 1, "über\nzwei")
        store.keep_log(pool, uuid, 1, "late")
        assert store.kept_log(pool, uuid, 1) == "über\nzwei"
        assert store.kept_log(pool, uuid, 2) is None

    def test_run_is_added_once(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        uuid = next(ids)
        first = values.run(pool, uuid, name="first")
        store.add_run(first)
        second = store.add_run(values.run(pool, uuid, name="second", order=next(ids)))
        assert second == first
        assert self.stored(store, first) == first

    def test_adding_again_does_not_put_a_run_back(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids))
        store.add_run(run)
        moved = replace(run, rev=1, state=RunState.CANCELLED)
        store.save_run(moved)
        assert store.add_run(run) == moved
        assert self.stored(store, run) == moved

    def test_many_are_added_in_order(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        runs = [values.run(pool, uuid, name=str(n)) for n, uuid in enumerate(islice(ids, MANY))]
        known = replace(runs[7], name="known before")
        store.add_run(known)
        expected = [*runs[:7], known, *runs[8:]]
        assert store.add_runs(runs) == expected
        assert list(store.list_runs(pool, newest_first=False)) == expected

    def test_no_runs_are_added(self, store: Store) -> None:
        assert store.add_runs([]) == []

    def test_same_uuid_in_two_pools_is_two_runs(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        here = values.run(pool, next(ids))
        there = replace(here, pool=f"{pool}-other")
        assert store.add_run(here) == here
        assert store.add_run(there) == there

    def test_too_large_a_run_is_refused(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        run = values.run(pool, next(ids), variables={"text": "x" * 400_000})
        with pytest.raises(Invalid) as refused:
            store.add_run(run)
        assert refused.value.reason == "run_too_large"
        assert self.stored(store, run) is None

    def test_text_that_is_none_is_refused(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids), variables={"text": "\udcff"})
        with pytest.raises(Invalid) as refused:
            store.add_run(run)
        assert refused.value.reason == "invalid_input"
        assert self.stored(store, run) is None

    def test_several_are_read(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        runs = [values.run(pool, uuid) for uuid in islice(ids, MANY)]
        store.add_runs(runs)
        wanted = [run.uuid for run in runs] + [next(ids), runs[0].uuid]
        assert store.runs(pool, wanted) == {run.uuid: run for run in runs}
        assert store.runs(pool, []) == {}

    def test_saved_run_comes_back(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        run = values.run(pool, next(ids))
        store.add_run(run)
        full = replace(values.full_run(pool, run.uuid), rev=1)
        store.save_run(full)
        assert self.stored(store, run) == full

    def test_saving_removes_what_is_default_again(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        full = values.full_run(pool, next(ids))
        store.add_run(full)
        plain = values.run(pool, full.uuid, rev=full.rev + 1)
        store.save_run(plain)
        assert self.stored(store, full) == plain

    def test_first_of_two_writers_wins(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        run = values.run(pool, next(ids))
        store.add_run(run)
        winner = replace(run, rev=1, state=RunState.COMPLETED)
        store.save_run(winner)
        with pytest.raises(Conflict):
            store.save_run(replace(run, rev=1, state=RunState.CANCELLED))
        assert self.stored(store, run) == winner

    def test_saving_the_same_twice_is_fine(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids))
        store.add_run(run)
        saved = replace(values.full_run(pool, run.uuid), rev=1)
        store.save_run(saved)
        store.save_run(saved)
        assert self.stored(store, run) == saved

    def test_saving_what_was_overtaken_conflicts(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids))
        store.add_run(run)
        first, second = replace(run, rev=1, name="1"), replace(run, rev=2, name="2")
        store.save_run(first)
        store.save_run(second)
        with pytest.raises(Conflict):
            store.save_run(first)
        assert self.stored(store, run) == second

    def test_saving_an_unknown_run_conflicts(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids), rev=1)
        with pytest.raises(Conflict):
            store.save_run(run)
        assert self.stored(store, run) is None

    def test_skipping_a_revision_conflicts(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids))
        store.add_run(run)
        with pytest.raises(Conflict):
            store.save_run(replace(run, rev=2))

    @pytest.mark.parametrize("full", [False, True])
    def test_the_first_attempt_is_claimed_without_a_read(
        self, store: Store, pool: str, ids: Iterator[str], full: bool
    ) -> None:
        uuid = next(ids)
        run = values.full_run(pool, uuid) if full else values.run(pool, uuid)
        waiting = replace(
            run, state=RunState.SCHEDULED, attempt=0, attempts=(), stop=None, ended_at=None
        )
        store.add_run(waiting)
        claimed = store.claim_run(pool, uuid, CLAIM, values.NOW)
        assert claimed == advance(waiting, CLAIM, values.NOW) != waiting
        assert self.stored(store, run) == claimed
        # As if the reply had been lost.
        assert store.claim_run(pool, uuid, CLAIM, values.NOW + 5) == claimed
        assert self.stored(store, run) == claimed

    @pytest.mark.parametrize(
        "now",
        [
            {"state": RunState.CANCELLED, "ended_at": values.NOW},
            {"attempt": 1},
            {"state": RunState.PENDING, "attempt": 1, "attempts": (Attempt(1, "ecs"),)},
        ],
    )
    def test_what_does_not_wait_for_its_first_attempt_is_returned_as_it_is(
        self, store: Store, pool: str, ids: Iterator[str], now: dict[str, Any]
    ) -> None:
        run = values.run(pool, next(ids), **now)
        store.add_run(run)
        assert store.claim_run(pool, run.uuid, CLAIM, values.NOW) == run
        assert self.stored(store, run) == run

    def test_an_unknown_run_is_claimed_by_nobody(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        run = values.run(pool, next(ids))
        assert store.claim_run(pool, run.uuid, CLAIM, values.NOW) is None
        assert self.stored(store, run) is None

    def test_runs_are_listed_both_ways(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        runs = [values.run(pool, uuid) for uuid in islice(ids, 5)]
        store.add_runs(list(reversed(runs)))
        assert list(store.list_runs(pool, newest_first=False)) == runs
        assert list(store.list_runs(pool)) == runs[::-1]

    def test_runs_are_listed_by_state(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        states = [RunState.SCHEDULED, RunState.FAILED, RunState.RUNNING, RunState.FAILED]
        runs = [values.run(pool, uuid, state=s) for uuid, s in zip(ids, states, strict=False)]
        store.add_runs(runs)
        failed = store.list_runs(pool, states=frozenset({RunState.FAILED}), newest_first=False)
        assert list(failed) == [runs[1], runs[3]]

    def test_large_runs_are_listed_and_read_page_by_page(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        large = {"text": "x" * LARGE}
        runs = [values.run(pool, uuid, variables=large) for uuid in islice(ids, 40)]
        store.add_runs(runs)
        assert list(store.list_runs(pool, newest_first=False)) == runs
        assert len(store.runs(pool, [run.uuid for run in runs])) == len(runs)

    def test_runs_are_listed_between_two_ids(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        runs = [values.run(pool, uuid) for uuid in islice(ids, 6)]
        store.add_runs(runs)
        names = [run.uuid for run in runs]

        def between(after: str, until: str) -> list[Run]:
            return list(store.list_runs(pool, newest_first=False, after=after, until=until))

        assert between(names[1], names[4]) == runs[2:5]
        assert between("", names[2]) == runs[:3]
        assert between(names[3], "") == runs[4:]
        assert between(names[0][:13], "") == runs, "the time is enough"
        assert between(names[4], names[1]) == []
        newest = store.list_runs(pool, after=names[1], until=names[4])
        assert list(newest) == runs[2:5][::-1]

    def test_how_far_the_runs_were_audited_is_remembered(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        assert store.audited(pool) == ""
        for uuid in islice(ids, 2):
            store.save_audited(pool, uuid)
            assert store.audited(pool) == uuid

    def test_listing_an_unknown_pool_is_empty(self, store: Store, pool: str) -> None:
        assert list(store.list_runs(pool)) == []
