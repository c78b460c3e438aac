"""How does a ledger of many slots stay cheap to write? Most of its holders lie in a base.

    LEDGER      the head: which base holds, who of it is gone, and who has come since
    BASE#0#n    a base: all who held a slot when it was written, in parts
    BASE#1#n    the one before it, which the next one replaces

A commit writes the head alone, and the head stays the one item that decides. Now and then a commit
writes a base first, where the present one does not lie, and then a head that names it. Under one
name a base never changes, so that a process may keep what it has read of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.adapters.dynamodb.kinds import MALFORMED, size_of
from push_dispatch.adapters.dynamodb.ledger_items import (
    HOLDER_BYTES,
    held_item,
    ledger_item,
    malformed,
    read_held,
    read_ledger,
)
from push_dispatch.core.model import Holder, Ledger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

__all__ = ["Base", "Head", "base_items", "head_item", "next_head", "read_base", "read_head"]

#: What stands before the holders in a head with a base: the kind of head, where its base lies, in
#: how many parts, since which version, its digest; what was written since, and how many are gone.
#: With two bytes for each of these it is never a multiple of 34 bytes: a version of the code that
#: knows no bases finds it malformed, and not a ledger in which most slots are free.
_HEAD = struct.Struct(">BBBQ16sIH")
_KIND = 1
#: DynamoDB takes 409,600 bytes an item.
_PART_BYTES = 300_000
#: Those of a base who are gone are two bytes each in the head, who has come is 34.
_GONE_FOR_ONE = 16
_DIGEST_BYTES = 16


class Base(NamedTuple):
    """Names a base: two with the same name have the same holders."""

    #: 0 or 1.
    side: int
    parts: int
    #: Of the ledger that it was written for.
    version: int
    digest: bytes

    @property
    def name(self) -> str:
        """It, for people."""
        return f"{keys.base(self.side, 0)} of version {self.version}"


@dataclass(frozen=True, slots=True)
class Head:
    """What the item of a ledger says. Without a base it is the whole ledger."""

    #: Its holders are those that the base has not.
    ledger: Ledger
    base: Base | None = None
    #: Which holders of the base are no more, by their places in it.
    gone: tuple[int, ...] = ()
    #: Holders that were written by heads since the base was: what it has saved is used up when
    #: they are as many as it has itself.
    spent: int = 0

    def whole(self, held: Sequence[Holder]) -> Ledger:
        """The ledger, with the base's holders. Raises Unreadable."""
        gone = set(self.gone)
        kept = [holder for place, holder in enumerate(held) if place not in gone]
        if len(kept) + len(self.gone) != len(held):
            raise malformed(self.ledger.pool, "it is not of the base that it names")
        return replace(self.ledger, holders=(*kept, *self.ledger.holders))


def next_head(ledger: Ledger, before: Head, held: Sequence[Holder]) -> tuple[Head, bool]:
    """The head of a ledger over the base of the head before it, and whether it is time for another
    base: what all heads have written since this one would have paid for it."""
    gone: list[int] = []
    at = 0
    for place, holder in enumerate(held):
        # By identity first: a pass hands over what it has read.
        if at < len(ledger.holders) and _is_same(ledger.holders[at], holder):
            at += 1
        else:
            gone.append(place)
    come = ledger.holders[at:]
    spent = before.spent + len(come) + len(gone) // _GONE_FOR_ONE
    head = Head(replace(ledger, holders=come), before.base, tuple(gone), spent)
    return head, spent >= len(held)


def _is_same(one: Holder, other: Holder) -> bool:
    return one is other or one == other


def head_item(head: Head) -> dict[str, Any]:
    """The item of a ledger."""
    item = ledger_item(head.ledger)
    if head.base is not None:
        side, parts, version, digest = head.base
        first = _HEAD.pack(_KIND, side, parts, version, digest, head.spent, len(head.gone))
        gone = struct.pack(f">{len(head.gone)}H", *head.gone)
        own = item["holders"]["B"] if "holders" in item else b""
        item["holders"] = {"B": first + gone + own}
    return item


def read_head(pool: str, item: Item | None) -> Head:
    """The head in the item of a ledger; that of an empty one if there is none. Raises
    Unreadable."""
    if item is None:
        return Head(Ledger(pool))
    try:
        packed = bytes(item["holders"]["B"]) if "holders" in item else b""
        if len(packed) % HOLDER_BYTES == 0:
            return Head(read_ledger(pool, item))
        kind, side, parts, version, digest, spent, count = _HEAD.unpack_from(packed)
        own = packed[_HEAD.size + 2 * count :]
        gone = struct.unpack(f">{count}H", packed[_HEAD.size : len(packed) - len(own)])
        if kind != _KIND:
            raise ValueError(f"a version of the program that is newer has written it ({kind})")
        ledger = read_ledger(pool, {**item, "holders": {"B": own}})
    except (*MALFORMED, struct.error) as error:
        raise malformed(pool, error) from error
    return Head(ledger, Base(side, parts, version, digest), gone, spent)


def base_items(ledger: Ledger, side: int) -> tuple[Base, list[dict[str, Any]]]:
    """A base with all holders of a ledger, and the items of its parts."""
    parts = _parts(ledger.holders)
    items = [
        {
            "PK": {"S": keys.pool(ledger.pool)},
            "SK": {"S": keys.base(side, number)},
            "version": {"N": str(ledger.version)},
            **part,
        }
        for number, part in enumerate(parts)
    ]
    return Base(side, len(items), ledger.version, _digest(items)), items


def read_base(base: Base, parts: Sequence[Item]) -> tuple[Holder, ...] | None:
    """The holders of a base; None if what lies there is not this base."""
    try:
        if len(parts) != base.parts or _digest(parts) != base.digest:
            return None
        return tuple(holder for part in parts for holder in read_held(part))
    except (*MALFORMED, IndexError, struct.error):
        return None


def _parts(holders: Sequence[Holder]) -> list[dict[str, Any]]:
    part = held_item(holders)
    if size_of(part) <= _PART_BYTES or len(holders) == 1:
        return [part]
    half = len(holders) // 2
    return [*_parts(holders[:half]), *_parts(holders[half:])]


def _digest(parts: Iterable[Item]) -> bytes:
    digest = sha256()
    for part in parts:
        digest.update(bytes(part["holders"]["B"]))
        for name in ("names", "more"):
            digest.update(part[name]["S"].encode() if name in part else b"")
    return digest.digest()[:_DIGEST_BYTES]
