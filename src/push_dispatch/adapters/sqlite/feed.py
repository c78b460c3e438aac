"""Which changes has nobody handled yet? The feed's rows, in the shape of DynamoDB's stream.

A row stays until its reader has handled it, so a killed runtime finds what it had not finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.adapters.sqlite.database import Database, decode, record_of

__all__ = ["Feed"]


class Feed:
    """Read by one reader at a time."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def read(self, most: int) -> list[dict[str, Any]]:
        """Return at most `most` records, oldest first, as Lambda delivers them."""
        select = "SELECT sequence, before, after FROM feed ORDER BY sequence LIMIT ?"
        return [_record(*row) for row in self._db.rows(select, most)]

    def waiting(self) -> int:
        """Return how many records nobody has handled yet."""
        count: int = self._db.rows("SELECT COUNT(*) FROM feed")[0][0]
        return count

    def handled(self, record: Mapping[str, Any]) -> None:
        """Forget this record and those before it. Idempotent."""
        sequence = int(record["dynamodb"]["SequenceNumber"])
        with self._db.transaction() as tx:
            tx.execute("DELETE FROM feed WHERE sequence <= ?", sequence)


def _record(sequence: int, before: str | None, after: str) -> dict[str, Any]:
    record = record_of(decode(before) if before else None, decode(after))
    record["eventID"] = record["dynamodb"]["SequenceNumber"] = str(sequence)
    return record
