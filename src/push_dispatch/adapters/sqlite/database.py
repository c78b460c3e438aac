"""What is in the file, and how is it written? One transaction at a time, whoever writes.

Database: items under the keys of the DynamoDB table, the feed of their changes, and messages. The
write-ahead log lets readers go on beside a writer. A process that is killed loses no committed
transaction; only a crash of the operating system may lose the last ones, and never half of one.
https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import os
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from json import dumps, loads
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import finalize

from push_dispatch.core.errors import Unavailable

__all__ = ["DEPLOYMENTS", "FEED", "LAST", "Database", "Transaction", "decode", "key_of", "number"]

Item = dict[str, Any]

#: What has changed: the feed, or one of the deployments.
FEED, DEPLOYMENTS = "feed", "deployments"

#: Sorts after every key that we write.
LAST = "\U0010ffff"

#: How long a writer waits for another process's transaction.
_BUSY_SECONDS = 10
#: Items that one read brings: a reader that goes on item by item holds no transaction open.
_PAGE = 1000
#: Of the file's format; a later version changes tables from one number to the next.
_FORMAT = 1

_FORWARD = "SELECT sk, item FROM items WHERE pk = ? AND sk >= ? AND sk < ? ORDER BY sk LIMIT ?"
_BACKWARD = _FORWARD.replace("ORDER BY sk", "ORDER BY sk DESC")

_TABLES = """
CREATE TABLE items (
    pk TEXT NOT NULL, sk TEXT NOT NULL, item TEXT NOT NULL,
    tick_pool TEXT, tick_at INTEGER, expires_at INTEGER,
    PRIMARY KEY (pk, sk)
) WITHOUT ROWID;
CREATE INDEX ticks ON items (tick_pool, tick_at) WHERE tick_pool IS NOT NULL;
CREATE INDEX expiring ON items (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE feed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    pk TEXT NOT NULL, sk TEXT NOT NULL, before TEXT, after TEXT
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL, body TEXT NOT NULL,
    visible_at INTEGER NOT NULL, receives INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX visible ON messages (queue, visible_at);
"""


#: Whether a change, as the stream tells it, goes into the feed.
Wanted = Callable[[Mapping[str, Any]], bool]


class Database:
    """One file, or `:memory:`. Safe to share between threads; a file also between processes."""

    def __init__(
        self,
        path: Path | str,
        changed: Callable[[frozenset[str]], None] | None = None,
        wanted: Wanted = lambda _record: True,
    ) -> None:
        """Open or create the file, readable by its owner alone; its directory must exist.

        `changed` is called after each transaction that left work for somebody, with the names of
        the queues that have new messages, `FEED` and `DEPLOYMENTS`. Changes
        that are not `wanted` are not kept for a reader. Raises Unavailable.
        """
        self._changed = changed
        self._wanted = wanted
        self._lock = RLock()
        if path != ":memory:":
            # Before SQLite does: its log and its index get the mode of the file. Only a new file:
            # to close one that is open elsewhere in this process releases SQLite's locks on it.
            # https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with _errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        # Where nothing closes it, as in a command that ends.
        finalize(self, self._connection.close)
        try:
            with _errors():
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
            self._create_tables()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write: everything that happens inside is committed, or nothing of it.

        Raises Unavailable if another process keeps the file, the disk is full, or it is gone.
        """
        with self._lock, _errors():
            self._connection.execute("BEGIN IMMEDIATE")
            written = Transaction(self._connection, self._wanted)
            try:
                yield written
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
        if written.work and self._changed:
            self._changed(frozenset(written.work))

    def get(self, pk: str, sk: str) -> Item | None:
        """Return the item under this key, or None."""
        rows = self.rows("SELECT item FROM items WHERE pk = ? AND sk = ?", pk, sk)
        return decode(rows[0][0]) if rows else None

    def between(
        self, pk: str, low: str, high: str, *, limit: int | None = None, forward: bool = True
    ) -> Iterator[Item]:
        """Yield a partition's items with `low` <= sort key < `high`, page by page."""
        left = limit
        select = _FORWARD if forward else _BACKWARD
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self.rows(select, pk, low, high, size)
            yield from (decode(text) for _, text in page)
            if len(page) < size:
                return
            left = None if left is None else left - size
            if forward:
                low = page[-1][0] + "\0"
            else:
                high = page[-1][0]

    def damage(self) -> str:
        """Return what SQLite finds wrong with the file; empty if nothing is."""
        found = str(self.rows("PRAGMA quick_check(1)")[0][0])
        return "" if found == "ok" else found

    def rows(self, select: str, *values: Any) -> list[Any]:
        """Return what a query finds."""
        with self._lock, _errors():
            return self._connection.execute(select, values).fetchall()

    def _create_tables(self) -> None:
        with self._lock, _errors():
            if self._connection.execute("PRAGMA user_version").fetchone()[0]:
                return
            self._connection.execute("BEGIN IMMEDIATE")
            # Somebody else may have been faster.
            if not self._connection.execute("PRAGMA user_version").fetchone()[0]:
                for statement in _TABLES.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_FORMAT}")
            self._connection.execute("COMMIT")


class Transaction:
    """What a writer does, between the begin and the commit."""

    def __init__(self, connection: sqlite3.Connection, wanted: Wanted) -> None:
        self._connection = connection
        self._wanted = wanted
        #: For whom it leaves work: names of queues, `FEED` and `DEPLOYMENTS`.
        self.work: set[str] = set()

    def get(self, pk: str, sk: str) -> Item | None:
        """Return the item under this key, or None."""
        row = self.execute("SELECT item FROM items WHERE pk = ? AND sk = ?", pk, sk).fetchone()
        return decode(row[0]) if row else None

    def put(self, item: Item) -> None:
        """Write an item, replacing what is under its key."""
        self.execute(
            "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?)",
            item["PK"]["S"],
            item["SK"]["S"],
            encode(item),
            item["tick_pool"]["S"] if "tick_pool" in item else None,
            int(item["tick_at"]["N"]) if "tick_at" in item else None,
            int(item["expires_at"]["N"]) if "expires_at" in item else None,
        )

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item. Idempotent."""
        self.execute("DELETE FROM items WHERE pk = ? AND sk = ?", pk, sk)

    def feed(self, before: Item | None, after: Item) -> None:
        """Put a change into the feed, if it is wanted."""
        if not self._wanted(record_of(before, after)):
            return
        self.work.add(FEED)
        self.execute(
            "INSERT INTO feed (pk, sk, before, after) VALUES (?, ?, ?, ?)",
            after["PK"]["S"],
            after["SK"]["S"],
            encode(before) if before else None,
            encode(after),
        )

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Execute any statement."""
        return self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute a statement once for each row."""
        self._connection.executemany(statement, rows)


def record_of(before: Item | None, after: Item) -> dict[str, Any]:
    """A change in the shape of DynamoDB's stream."""
    return {
        "eventName": "MODIFY" if before else "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": {"PK": after["PK"], "SK": after["SK"]},
            "NewImage": after,
            **({"OldImage": before} if before else {}),
        },
    }


def encode(item: Item) -> str:
    """An item as text; bytes become base64."""
    return dumps(item, separators=(",", ":"), ensure_ascii=False, default=_base64)


def decode(text: str) -> Item:
    """The item in a text."""
    item: Item = loads(text)
    for value in item.values():
        if "B" in value:
            value["B"] = b64decode(value["B"])
    return item


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(f"an item cannot hold {type(value).__name__}")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"the state file cannot be used now: {error}") from error


def key_of(pk: str, sk: str) -> Item:
    return {"PK": {"S": pk}, "SK": {"S": sk}}


def number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
