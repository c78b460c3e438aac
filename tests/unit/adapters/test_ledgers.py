"""Is a ledger with a base one value that only one writer can replace?

Passes of several processes take turns at each call of the table, by a seed: some die, some lose a
reply. After each write a fresh reader must find exactly what was committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from greenlet import getcurrent, greenlet

from push_dispatch.adapters.dynamodb import conditions, keys, ledgers as module
from push_dispatch.adapters.dynamodb.ledger_bases import base_items, read_head
from push_dispatch.adapters.dynamodb.ledger_items import held_item, ledger_item, read_held
from push_dispatch.adapters.dynamodb.ledgers import Ledgers
from push_dispatch.core.errors import Conflict, Unavailable, Unreadable
from push_dispatch.core.model import DELETED, Holder, Ledger
from tests.fakes.ledger_table import LedgerTable

POOL = "p"
HEAD = (keys.pool(POOL), keys.LEDGER)
#: Two holders, or one once there is a base.
PLAIN = 120
PROCESSES, PASSES = 3, 14


class Died(BaseException):
    """The process is no more."""


class Story:
    """What becomes of one pool."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.items: dict[tuple[str, str], Any] = {}
        #: Every ledger that there was, by its version.
        self.history = {0: Ledger(POOL)}
        self.now = 0
        self.runs = 0
        self.committing: dict[greenlet, Ledger] = {}
        self.bases = 0

    def play(self) -> None:
        """To the end, or to the first thing that is wrong."""
        processes = [greenlet(self._process) for _ in range(PROCESSES)]
        while processes:
            chosen = self.dice.choice(processes)
            chosen.switch()
            if chosen.dead:
                processes.remove(chosen)
            if self.dice.random() < 0.02:
                self._moves(self.history[self.now].after_change(self.now + 1))
        assert self._read() == self.history[self.now]

    def _process(self) -> None:
        ledgers = self._ledgers()
        for _ in range(PASSES):
            try:
                if self.dice.random() < 0.02:
                    self._delete_pool(ledgers)
                else:
                    self._pass(ledgers)
            except Died:
                ledgers = self._ledgers()
            except Unavailable:
                continue

    def _pass(self, ledgers: Ledgers) -> None:
        earliest = self.now
        seen = ledgers.read(POOL)
        assert earliest <= seen.version <= self.now
        assert seen == self.history[seen.version]
        after = self.committing[getcurrent()] = self._decided(seen)
        try:
            try:
                ledgers.commit(after)
            except Unavailable:
                ledgers.commit(after)
            assert self.history[after.version] == after
        except Conflict:
            # Its own commit it recognises.
            assert self.history[self.now] != after

    def _decided(self, seen: Ledger) -> Ledger:
        kept = [holder for holder in seen.holders if self.dice.random() < 0.75]
        new = []
        for _ in range(self.dice.randrange(4)):
            self.runs += 1
            new.append(Holder(str(UUID(int=self.runs)), 1, "default", self.runs))
        return replace(seen, version=seen.version + 1, holders=(*kept, *new), configuration=5)

    def _delete_pool(self, ledgers: Ledgers) -> None:
        self._turn("update", False)
        gone = self.history[self.now].of_deleted_pool()
        self._moves(gone)
        sorts = [sort for _, sort in self.items]
        self._turn("batch", False)
        ledgers.forget(POOL, gone.version, sorts)

    def _moves(self, ledger: Ledger) -> None:
        """What an update does to the head: it knows nothing of bases."""
        item = {**self.items.get(HEAD, {}), **ledger_item(replace(ledger, holders=()))}
        if ledger.configuration == DELETED:
            item = ledger_item(ledger)
        self.items[HEAD] = item
        self._happened(ledger)

    def _happened(self, ledger: Ledger) -> None:
        assert ledger.version == self.now + 1
        self.now = ledger.version
        self.history[self.now] = ledger
        assert self._read() == ledger

    def _turn(self, verb: str, after: bool) -> None:
        """Others go first; then this process may die, or miss the answer."""
        me = getcurrent()
        if after and verb == f"put {keys.LEDGER}":
            self._happened(self.committing[me])
        elif after:
            self.bases += 1
            assert self._read() == self.history[self.now]
        else:
            assert me.parent is not None
            me.parent.switch()
        fate = self.dice.random()
        if fate < 0.04:
            raise Died
        if fate < 0.10:
            raise Unavailable("simulated")

    def _ledgers(self) -> Ledgers:
        return Ledgers(LedgerTable(self.items, self._turn), PLAIN)

    def _read(self) -> Ledger:
        return Ledgers(LedgerTable(self.items, lambda _verb, _after: None)).read(POOL)


def play(seeds: range) -> int:
    bases = 0
    for seed in seeds:
        story = Story(seed)
        try:
            story.play()
        except (AssertionError, Unreadable) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        bases += story.bases
    return bases


def test_passes_that_take_turns_break_nothing() -> None:
    assert play(range(60)) > 300


@pytest.mark.slow
def test_passes_that_take_turns_break_nothing_in_many_stories() -> None:
    play(range(1000, 3000))


def _unchecked(base: Any, parts: Any) -> Any:
    return tuple(holder for part in parts for holder in read_held(part))


@pytest.mark.parametrize(
    ("where", "name", "instead"),
    [
        (conditions, "LEDGER_UNCHANGED", None),
        (conditions, "BASE_OLDER", None),
        (conditions, "BASE_NOT_NEWER", None),
        (module, "base_items", lambda ledger, _side: base_items(ledger, 0)),
        (module, "read_base", _unchecked),
    ],
)
def test_without_a_safeguard_they_do(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, instead: Any
) -> None:
    monkeypatch.setattr(where, name, instead)
    with pytest.raises(AssertionError, match="seed"):
        play(range(2000))


# -- one after the other ---------------------------------------------------------------------------


def _table(
    items: dict[tuple[str, str], Any], turn: Callable[[str, bool], None] | None = None
) -> LedgerTable:
    return LedgerTable(items, turn or (lambda _verb, _after: None))


def _ledger(version: int, *numbers: int) -> Ledger:
    holders = tuple(Holder(str(UUID(int=n)), 1, "default", n) for n in numbers)
    return Ledger(POOL, version, holders)


def _sorts(items: dict[tuple[str, str], Any]) -> list[str]:
    return sorted(sort for _, sort in items)


def test_a_stored_ledger_of_before_gets_its_base_with_the_next_commit() -> None:
    before = _ledger(7, *range(10))
    items: dict[tuple[str, str], Any] = {HEAD: ledger_item(before)}
    ledgers = Ledgers(_table(items), PLAIN)
    assert ledgers.read(POOL) == before
    ledgers.commit(_ledger(8, *range(1, 11)))
    assert _sorts(items) == ["BASE#0#0", "LEDGER"]
    assert Ledgers(_table(items), PLAIN).read(POOL) == _ledger(8, *range(1, 11))


def test_a_small_ledger_is_one_item_again() -> None:
    items: dict[tuple[str, str], Any] = {}
    ledgers = Ledgers(_table(items), PLAIN)
    ledgers.commit(_ledger(1, 1, 2, 3))
    ledgers.commit(_ledger(2, 1, 2))
    assert read_head(POOL, items[HEAD]).base is not None
    ledgers.commit(_ledger(3, 1))
    assert items[HEAD] == ledger_item(_ledger(3, 1))


def test_a_base_is_read_once_by_a_process() -> None:
    items: dict[tuple[str, str], Any] = {}
    Ledgers(_table(items), PLAIN).commit(_ledger(1, *range(50)))
    calls: list[str] = []
    ledgers = Ledgers(
        _table(items, lambda verb, after: None if after else calls.append(verb)), PLAIN
    )
    for version in range(1, 5):
        assert ledgers.read(POOL).version == version
        ledgers.commit(_ledger(version + 1, *range(version, 50 + version)))
    assert calls == ["get", "get", "put LEDGER", *["get", "put LEDGER"] * 3]


def test_a_process_keeps_no_more_bases_than_it_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_KNOWN", 5)
    ledgers = Ledgers(_table({}), PLAIN)
    for pool in "abc":
        ledgers.commit(replace(_ledger(1, *range(4)), pool=pool))
    assert sorted(ledgers._known) == ["b", "c"]


def test_a_process_that_has_not_read_the_ledger_reads_it_before_it_commits() -> None:
    items: dict[tuple[str, str], Any] = {}
    Ledgers(_table(items), PLAIN).commit(_ledger(1, 1, 2, 3))
    Ledgers(_table(items), PLAIN).commit(_ledger(2, 2, 3, 4))
    with pytest.raises(Conflict):
        Ledgers(_table(items), PLAIN).commit(_ledger(2, 3, 4, 5))
    Ledgers(_table(items), PLAIN).commit(_ledger(2, 2, 3, 4))
    assert Ledgers(_table(items), PLAIN).read(POOL) == _ledger(2, 2, 3, 4)


@pytest.mark.parametrize("spoil", [None, {"version": {"N": "1"}}])
def test_a_base_that_is_lost_is_malformed_and_not_empty(spoil: Any) -> None:
    items: dict[tuple[str, str], Any] = {}
    Ledgers(_table(items), PLAIN).commit(_ledger(1, *range(5)))
    key = (keys.pool(POOL), "BASE#0#0")
    if spoil is None:
        del items[key]
    else:
        items[key] = spoil
    with pytest.raises(Unreadable, match="pause the pool, delete its item LEDGER"):
        Ledgers(_table(items), PLAIN).read(POOL)


@pytest.mark.parametrize("left", [{"N": "900"}, {"S": "?"}])
def test_a_base_that_a_ledger_deleted_by_hand_has_left_is_written_over(left: Any) -> None:
    items: dict[tuple[str, str], Any] = {}
    for side in (0, 1):
        key = {"PK": {"S": keys.pool(POOL)}, "SK": {"S": keys.base(side, 0)}}
        items[key["PK"]["S"], key["SK"]["S"]] = {
            **key,
            "version": left,
            **held_item(_ledger(1, 99).holders),
        }
    ledgers = Ledgers(_table(items), PLAIN)
    for version in range(1, 20):
        ledgers.commit(_ledger(version, *range(version, version + 4)))
        assert read_head(POOL, items[HEAD]).base is not None
    assert Ledgers(_table(items), PLAIN).read(POOL) == _ledger(19, *range(19, 23))


def test_a_deleted_pool_leaves_no_base_and_the_next_one_keeps_its_own() -> None:
    items: dict[tuple[str, str], Any] = {}
    ledgers = Ledgers(_table(items), PLAIN)
    ledgers.commit(_ledger(1, *range(4)))
    sorts = _sorts(items)
    ledgers.forget(POOL, 0, sorts)
    assert _sorts(items) == sorts
    ledgers.forget(POOL, 1, sorts)
    assert _sorts(items) == ["LEDGER"]
