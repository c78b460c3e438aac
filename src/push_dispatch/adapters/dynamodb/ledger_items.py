"""What is in the item of a ledger? Who holds a slot, packed, and what has started lately."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.adapters.dynamodb.kinds import MALFORMED
from push_dispatch.core.bounds import parse_json
from push_dispatch.core.canonical import dumps
from push_dispatch.core.errors import Unreadable
from push_dispatch.core.model import Holder, Ledger, Starts
from push_dispatch.core.usage import slot_name

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

__all__ = [
    "HELD",
    "HOLDER_BYTES",
    "held_item",
    "ledger_item",
    "malformed",
    "read_held",
    "read_ledger",
]

#: One holder: run id, attempt, since, and where its queue, key and deployment are in `names`. Four
#: bytes for the attempt: a run that finds no capacity makes one a minute, for weeks if need be.
_HOLDER = struct.Struct(">16sIQHHH")
_UUID_BYTES = 16
HOLDER_BYTES = _HOLDER.size
#: The attributes that keep holders.
HELD: Sequence[str] = ("holders", "names", "more")


def ledger_item(ledger: Ledger) -> dict[str, Any]:
    """The item of a ledger that keeps its holders itself: sparse and packed."""
    item: dict[str, Any] = {
        "PK": {"S": keys.pool(ledger.pool)},
        "SK": {"S": keys.LEDGER},
        "version": {"N": str(ledger.version)},
        "configuration": {"N": str(ledger.configuration)},
        **held_item(ledger.holders),
    }
    if ledger.starts:
        item |= _starts_item(ledger.starts)
    if ledger.paced:
        item["paced"] = {"N": str(ledger.paced)}
    return item


def held_item(holders: Sequence[Holder]) -> dict[str, Any]:
    """The attributes of an item that keep these holders, 34 bytes each; none for none."""
    names = _Names([""])
    packed = b"".join(
        _HOLDER.pack(
            _packed(h.run),
            h.attempt,
            h.since,
            names.index(h.queue),
            names.index(slot_name(h.concurrency_key)),
            names.index(slot_name(h.deployment)),
        )
        for h in holders
    )
    if not packed:
        return {}
    held: dict[str, Any] = {"holders": {"B": packed}, "names": {"S": dumps(names.known)}}
    if more := _more_of(holders):
        held["more"] = {"S": dumps(more)}
    return held


def read_ledger(pool: str, item: Item | None) -> Ledger:
    """The ledger in an item; an empty one if there is none. Raises Unreadable."""
    if item is None:
        return Ledger(pool)
    try:
        return _ledger(pool, item)
    except (*MALFORMED, IndexError, struct.error) as error:
        raise malformed(pool, error) from error


def malformed(pool: str, why: object) -> Unreadable:
    """What to raise for a ledger that cannot be read."""
    return Unreadable(
        f"the ledger of pool {pool!r} in the table is malformed: {why}; pause the pool, delete "
        f"its item {keys.LEDGER}, type push-dispatch doctor --repair, and resume the pool"
    )


def read_held(item: Item) -> tuple[Holder, ...]:
    """The holders that an item keeps. Raises one of `MALFORMED`, IndexError or struct.error."""
    names: Sequence[str] = json.loads(item["names"]["S"]) if "names" in item else [""]
    packed = bytes(item["holders"]["B"]) if "holders" in item else b""
    more = parse_json(item["more"]["S"]) if "more" in item else {}
    return tuple(
        Holder(
            _uuid(run),
            attempt,
            names[queue],
            since,
            names[key],
            names[deployment],
            **_read_more(more.get(str(number))),
        )
        for number, (run, attempt, since, queue, key, deployment) in enumerate(
            _HOLDER.iter_unpack(packed)
        )
    )


def _ledger(pool: str, item: Item) -> Ledger:
    return Ledger(
        pool,
        version=int(item["version"]["N"]),
        holders=read_held(item),
        starts=_read_starts(item),
        configuration=int(item["configuration"]["N"]) if "configuration" in item else 0,
        paced=int(item["paced"]["N"]) if "paced" in item else 0,
    )


def _packed(uuid: str) -> bytes:
    """The 16 bytes of a dashed uuid; raises ValueError. Without an object of `uuid.UUID` for each
    holder, which costs more than the decision about it."""
    packed = bytes.fromhex(uuid.replace("-", ""))
    if len(packed) != _UUID_BYTES:
        raise ValueError(f"{uuid!r} is not a uuid")
    return packed


def _uuid(packed: bytes) -> str:
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _more_of(holders: Sequence[Holder]) -> dict[str, list[Any]]:
    """What few holders have, by their number: keys of named limits, weights, their end."""
    return {
        str(number): [
            {name: slot_name(key) for name, key in holder.keys},
            dict(holder.weights),
            *([] if holder.until is None else [holder.until]),
        ]
        for number, holder in enumerate(holders)
        if holder.keys or holder.weights
    }


def _read_more(found: Sequence[Any] | None) -> dict[str, Any]:
    if found is None:
        return {}
    keys, weights, *until = found
    return {
        "keys": tuple((str(name), str(key)) for name, key in keys.items()),
        "weights": tuple((str(unit), int(taken)) for unit, taken in weights.items()),
        "until": int(until[0]) if until else None,
    }


class _Names:
    """Each name once; a holder carries its number."""

    def __init__(self, known: list[str]) -> None:
        self.known = known
        self._numbers = {name: number for number, name in enumerate(known)}

    def index(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.known)
            self.known.append(name)
        return self._numbers[name]


def _steps(times: Sequence[int]) -> list[int]:
    """The first time, then the steps from each to the next: short numbers."""
    return [*times[:1], *(after - before for before, after in pairwise(times))]


#: Starts of a ledger that are written one by one, as versions before counted starts read them.
_SINGLE_STARTS = 1000


def _starts_item(starts: Mapping[str, Starts]) -> dict[str, Any]:
    """One by one while they are few, so that the version before can take over; else counted."""
    if sum(count for entries in starts.values() for _, count in entries) <= _SINGLE_STARTS:
        single = {
            scope: _steps([at for at, count in entries for _ in range(count)])
            for scope, entries in starts.items()
        }
        return {"starts": {"S": dumps(single)}}
    counted = {
        scope: [_steps([at for at, _ in entries]), [count for _, count in entries]]
        for scope, entries in starts.items()
    }
    return {"counted_starts": {"S": dumps(counted)}}


def _read_starts(item: Item) -> dict[str, Starts]:
    if "counted_starts" in item:
        counted = json.loads(item["counted_starts"]["S"])
        return {
            scope: tuple(zip(accumulate(steps), counts, strict=True))
            for scope, (steps, counts) in counted.items()
        }
    single = json.loads(item["starts"]["S"]) if "starts" in item else {}
    return {
        scope: tuple((at, len(list(same))) for at, same in groupby(accumulate(steps)))
        for scope, steps in single.items()
    }
