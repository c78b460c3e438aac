"""A table in memory that knows the writes of `Ledgers`, and takes turns: each of its calls is one
moment, between any two of which other passes may do anything, or this one may die."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.adapters.dynamodb import conditions
from push_dispatch.adapters.dynamodb.table import Lost, Table

__all__ = ["LedgerTable"]

_Item = Mapping[str, Any]
_Values = Mapping[str, Any]


def _less(item: _Item | None, values: _Values, by: int) -> bool:
    """A number is not less than what is no number."""
    version = (item or {}).get("version", {"N": "-1"})
    return "N" in version and int(version["N"]) < int(values[":version"]["N"]) + by


def _unchanged(item: _Item | None, values: _Values) -> bool:
    return bool((item or {}).get("version", {"N": "0"}) == values[":version"])


_HOLDS: Mapping[str, Callable[[_Item | None, _Values], bool]] = {
    conditions.LEDGER_UNCHANGED: _unchanged,
    conditions.BASE_OLDER: lambda item, values: _less(item, values, 0),
    conditions.BASE_NOT_NEWER: lambda item, values: _less(item, values, 1),
    conditions.BASE_AS_STORED: lambda item, values: bool(
        item and item["version"] == values[":stored"]
    ),
}


class LedgerTable(Table):
    """`turn` is called with the verb before the effect of each call, and after it: it may let
    others go first, and raise what the caller gets instead of an answer."""

    def __init__(
        self, items: dict[tuple[str, str], _Item], turn: Callable[[str, bool], None]
    ) -> None:
        super().__init__(None, "fake", lambda _seconds: None)  # type: ignore[arg-type]
        self.items = items
        self._turn = turn

    def get(self, partition: str, sort: str) -> Any:
        """See `Table.get`."""
        self._turn("get", False)
        return self.items.get((partition, sort))

    def put_under(self, item: _Item, condition: str | None, values: Mapping[str, Any]) -> None:
        """See `Table.put_under`."""
        key = item["PK"]["S"], item["SK"]["S"]
        self._turn(f"put {key[1]}", False)
        self._check(self.items.get(key), condition, values)
        self.items[key] = item
        self._turn(f"put {key[1]}", True)

    def delete(self, partition: str, sort: str, condition: str, values: Mapping[str, Any]) -> None:
        """See `Table.delete`."""
        self._turn("delete", False)
        self._check(self.items.get((partition, sort)), condition, values)
        self.items.pop((partition, sort), None)

    def _check(self, item: _Item | None, condition: str | None, values: _Values) -> None:
        if condition is not None and not _HOLDS[condition](item, values):
            raise Lost(item)
