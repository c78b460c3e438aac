"""How are ledgers read and committed, however many slots their pools hold?

    1  who commits writes a base, if it is time for one, on the side where the present one is not
    2  the head, under its version, by one conditional write: before it nothing has happened

A crash in between leaves a base that no head names; the next one replaces it. Whoever has read the
head before, and finds another base where it should be, reads the head again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from push_dispatch.adapters.dynamodb import conditions, keys
from push_dispatch.adapters.dynamodb.kinds import size_of
from push_dispatch.adapters.dynamodb.ledger_bases import (
    Base,
    Head,
    base_items,
    head_item,
    next_head,
    read_base,
    read_head,
)
from push_dispatch.adapters.dynamodb.ledger_items import HELD, HOLDER_BYTES, ledger_item, malformed
from push_dispatch.adapters.dynamodb.table import Lost, Table
from push_dispatch.core.errors import Conflict
from push_dispatch.core.model import Holder, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from push_dispatch.adapters.dynamodb.items import Item

__all__ = ["PLAIN_BYTES", "Ledgers"]

#: Bytes of holders that a ledger keeps itself, 54 slots: with the rest of it, two write units.
PLAIN_BYTES = 1850
#: Holders of bases that a process keeps in memory, some 15 megabytes.
_KNOWN = 50_000


class _Found(NamedTuple):
    """A ledger that was read or written, its head, and the holders of its base."""

    ledger: Ledger
    head: Head
    held: tuple[Holder, ...]


class Ledgers:
    """The ledgers of one table's pools. Safe to share between threads."""

    def __init__(self, table: Table, plain_bytes: int = PLAIN_BYTES) -> None:
        """Ledgers of more than `plain_bytes` of holders have a base."""
        self._table = table
        self._plain_bytes = plain_bytes
        self._known: dict[str, _Found] = {}

    def read(self, pool: str) -> Ledger:
        """See `Store.ledger`. One read, and those of the base if this process does not know it."""
        return self.whole(pool, self._stored(pool))

    def whole(self, pool: str, stored: Item | None) -> Ledger:
        """The ledger of which this item was read, or a later one. Raises Unreadable."""
        return self._find(pool, stored).ledger

    def commit(self, ledger: Ledger) -> None:
        """See `Store.commit`. One write, and those of a base if it is time for one."""
        item = self._plain(ledger)
        found = _Found(ledger, Head(ledger), ()) if item else self._next(ledger)
        if found is None:
            return
        item = item or head_item(found.head)
        try:
            self._table.put(item, conditions.LEDGER_UNCHANGED, version=ledger.version - 1)
        except Lost as lost:
            if lost.stored != item:
                # Its own commit may have another form now: which base it has is not decided by it.
                found = self._find(ledger.pool, lost.stored or None)
                if not _is_same(found.ledger, ledger):
                    raise _conflict(ledger) from None
        self._keep(ledger.pool, found)

    def forget(self, pool: str, version: int, sorts: Iterable[str]) -> None:
        """Remove those of these items that are parts of a base and not of a later version."""
        for sort in sorts:
            if sort.startswith(keys.BASES):
                values = {":version": {"N": str(version)}}
                with suppress(Lost):
                    self._table.delete(keys.pool(pool), sort, conditions.BASE_NOT_NEWER, values)

    # -- reading -----------------------------------------------------------------------------------

    def _stored(self, pool: str) -> Item | None:
        return self._table.get(keys.pool(pool), keys.LEDGER)

    def _find(self, pool: str, stored: Item | None) -> _Found:
        head = read_head(pool, stored)
        while head.base is not None:
            held = self._held(pool, head.base)
            if held is not None:
                return self._keep(pool, _Found(head.whole(held), head, held))
            # Two later passes have written a base since, the second one over this. Or it is lost.
            later = read_head(pool, self._stored(pool))
            if later.base == head.base:
                raise malformed(pool, f"there is no such base as it names, {head.base.name}")
            head = later
        return self._keep(pool, _Found(head.ledger, head, ()))

    def _held(self, pool: str, base: Base) -> tuple[Holder, ...] | None:
        """The holders of a base; None if another one lies in its place."""
        known = self._known.get(pool)
        if known is not None and known.head.base == base:
            return known.held
        parts = [
            self._table.get(keys.pool(pool), keys.base(base.side, n)) for n in range(base.parts)
        ]
        return read_base(base, [part for part in parts if part is not None])

    def _keep(self, pool: str, found: _Found) -> _Found:
        """Remember what was read or written last of a pool whose ledger has a base."""
        self._known.pop(pool, None)
        if found.head.base is not None:
            self._known[pool] = found
            left = _KNOWN
            for name, known in reversed(list(self._known.items())):
                if left <= 0:
                    self._known.pop(name, None)
                left -= len(known.held)
        return found

    # -- writing -----------------------------------------------------------------------------------

    def _plain(self, ledger: Ledger) -> dict[str, Any] | None:
        """The item of a ledger without a base; None if it is too large for that."""
        # One that has a base keeps it until it has shrunk to the half: no base for each slot that
        # comes and goes.
        most = self._plain_bytes // 2 if ledger.pool in self._known else self._plain_bytes
        if len(ledger.holders) * HOLDER_BYTES > most:
            return None
        item = ledger_item(ledger)
        held = {name: item[name] for name in HELD if name in item}
        return item if size_of(held) <= most else None

    def _next(self, ledger: Ledger) -> _Found | None:
        """What to write, its base already written; None if it is there already. Raises Conflict."""
        before = self._known.get(ledger.pool)
        if before is None or before.ledger.version != ledger.version - 1:
            before = self._find(ledger.pool, self._stored(ledger.pool))
            if _is_same(before.ledger, ledger):
                return None
            if before.ledger.version != ledger.version - 1:
                raise _conflict(ledger)
        if before.head.base is None:
            return self._based(ledger, 0) or _Found(ledger, Head(ledger), ())
        head, due = next_head(ledger, before.head, before.held)
        found = _Found(ledger, head, before.held)
        return (due and self._based(ledger, 1 - before.head.base.side)) or found

    def _based(self, ledger: Ledger, side: int) -> _Found | None:
        """Write a base with all holders of a ledger. None if another pass may have written one for
        this very version: then this pass goes without, and the next one has its turn."""
        base, parts = base_items(ledger, side)
        if not all(self._put(ledger, part) for part in parts):
            return None
        # As they will be read, with the names that a ledger keeps.
        held = read_base(base, parts) or ()
        return _Found(ledger, Head(replace(ledger, holders=()), base), held)

    def _put(self, ledger: Ledger, part: Item) -> bool:
        values = {":version": {"N": str(ledger.version)}}
        try:
            self._table.put_under(part, conditions.BASE_OLDER, values)
        except Lost as lost:
            return lost.stored == part or self._put_over(ledger, part, lost.stored)
        return True

    def _put_over(self, ledger: Ledger, part: Item, stored: Item) -> bool:
        """Write a part over one of a later version, if the ledger has not come to that version: it
        was deleted by hand, and another one has begun."""
        version = stored["version"].get("N", "")
        if version.isdecimal() and int(version) <= ledger.version:
            return False
        head = read_head(ledger.pool, self._stored(ledger.pool))
        if head.ledger.version != ledger.version - 1:
            return False
        try:
            self._table.put_under(part, conditions.BASE_AS_STORED, {":stored": stored["version"]})
        except Lost as lost:
            return lost.stored == part
        return True


def _conflict(ledger: Ledger) -> Conflict:
    return Conflict(f"the ledger of {ledger.pool!r} was changed meanwhile")


def _is_same(one: Ledger, other: Ledger) -> bool:
    """As they are stored: a ledger does not keep long names."""
    return one.version == other.version and ledger_item(one) == ledger_item(other)
