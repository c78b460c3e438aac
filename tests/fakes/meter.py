"""What does DynamoDB charge for a call? Counted on the client, by the published rules.

Emulators answer `ReturnConsumedCapacity` with numbers of their own, so the units are computed from
the sizes of the items:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from push_dispatch.adapters.dynamodb.items import size_of

_Key = tuple[str, str]


@dataclass
class Meter:
    """Units and calls since the last `take`. Knows the items that were written through it."""

    writes: int = 0
    #: A strongly consistent read of up to 4 KB is 1.
    reads: float = 0
    calls: Counter[str] = field(default_factory=Counter)
    #: Each call by name, with what it was about.
    log: list[str] = field(default_factory=list)
    _items: dict[_Key, Mapping[str, Any]] = field(default_factory=dict)
    _asked: dict[str, Any] = field(default_factory=dict)

    def take(self) -> tuple[int, int, float]:
        """Calls, write units and read units so far; the count starts anew."""
        taken = (self.calls.total(), self.writes, self.reads)
        self.calls.clear()
        self.log.clear()
        self.writes = self.reads = 0
        return taken

    def ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """A call is asked for."""
        self.calls[model.name] += 1
        self.log.append(f"{model.name} {_about(params)}".rstrip())
        self._asked = params

    def answer(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        """A call was answered: also a condition that did not hold is charged."""
        charge = getattr(self, f"_{model.name}", None)
        if charge is not None:
            charge(self._asked, parsed)

    # -- operations, by name ----------------------------------------------------------------------

    def _PutItem(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        self._write(_key(received["Item"]), received["Item"], done="Error" not in answered)

    def _DeleteItem(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        self._write(_key(received["Key"]), None, done="Error" not in answered)

    def _UpdateItem(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        """Those of the store whose reply has not the whole item only change or remove numbers. A
        claim has: of the run that it has claimed, or of the one that it has not."""
        known = self._items.get(_key(received["Key"]), received["Key"])
        whole = received.get("ReturnValues") == "ALL_NEW" and answered.get("Attributes")
        self._write(_key(received["Key"]), whole or known)

    def _BatchWriteItem(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        [requests] = received["RequestItems"].values()
        for request in requests:
            if "PutRequest" in request:
                item = request["PutRequest"]["Item"]
                self._write(_key(item), item)
            else:
                self._write(_key(request["DeleteRequest"]["Key"]), None)

    def _GetItem(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        self._read([answered.get("Item", {})], received)

    def _BatchGetItem(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        """Each item is rounded up on its own."""
        [wanted] = received["RequestItems"].values()
        for item in answered["Responses"].get(next(iter(received["RequestItems"])), ()):
            self._read([item], wanted)

    def _Query(self, received: dict[str, Any], answered: dict[str, Any]) -> None:
        """All items of a page are added up and rounded once."""
        self._read(answered["Items"], received)

    def _write(self, key: _Key, item: Mapping[str, Any] | None, *, done: bool = True) -> None:
        """The larger of the item before and after, by the kilobyte; nothing is charged for none."""
        sizes = [size_of(content) for content in (self._items.get(key), item) if content]
        self.writes += max(1, -(-max(sizes, default=0) // 1024))
        # Every entry of the sparse index is a write of its own.
        self.writes += any(c and "tick_pool" in c for c in (self._items.get(key), item))
        if done and item is not None:
            self._items[key] = item
        elif done:
            self._items.pop(key, None)

    def _read(self, items: list[Mapping[str, Any]], received: Mapping[str, Any]) -> None:
        units = max(1, -(-sum(size_of(item) for item in items) // 4096))
        self.reads += units if received.get("ConsistentRead") else units / 2


@contextmanager
def metered(*clients: Any) -> Iterator[Meter]:
    """The meter of these clients: units of DynamoDB, calls of all."""
    meter = Meter()
    for client in clients:
        client.meta.events.register_last("provide-client-params", meter.ask)
        client.meta.events.register_first("after-call", meter.answer)
    try:
        yield meter
    finally:
        for client in clients:
            client.meta.events.unregister("provide-client-params", meter.ask)
            client.meta.events.unregister("after-call", meter.answer)


def _about(params: Mapping[str, Any]) -> str:
    """The kinds of items that a call is about: the first part of their sort keys."""
    keys: list[Mapping[str, Any]] = [params[name] for name in ("Item", "Key") if name in params]
    for received in params.get("RequestItems", {}).values():
        requests = received["Keys"] if isinstance(received, Mapping) else received
        for request in requests:
            found = request.get("PutRequest", {}).get("Item") or request.get("DeleteRequest", {})
            keys.append(found.get("Key", found) or request)
    values = params.get("ExpressionAttributeValues", {})
    sorts = [key["SK"]["S"] for key in keys if "SK" in key]
    sorts += [values[name]["S"] for name in (":low", ":high") if name in values]
    kinds = ["run" if sort[8:9] == "-" else sort.split("#")[0] for sort in sorts]
    return " ".join(dict.fromkeys(kinds))


def _key(item: Mapping[str, Any]) -> _Key:
    return item["PK"]["S"], item["SK"]["S"]
