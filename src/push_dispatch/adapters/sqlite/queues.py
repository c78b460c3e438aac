"""How do messages travel on this machine? As rows that become visible when their time has come.

With SQS's semantics: at least once; what was received and not deleted is received again; after too
many receives it goes to the dead letters.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.ports.messages import Message, Wake, encode

__all__ = ["BRIDGE", "DEAD", "PLATFORMS", "WAKES", "Queues", "Received"]

#: The queues: one for all platforms' messages, one that wakes dispatch, and one of the attempts
#: that are claimed at a Prefect server first.
PLATFORMS, WAKES, BRIDGE = "platforms", "wakes", "prefect"
#: Ends the name of a queue's dead letters.
DEAD = "-dead"

#: What SQS takes.
_MAX_DELAY = 900


@dataclass(frozen=True, slots=True)
class Received:
    """A message that somebody handles now."""

    id: int
    body: str
    #: How often it was received, this time included.
    receives: int


class Queues:
    """Sends (the port `Messages`), receives and deletes. Safe to share between threads."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        """`clock` returns epoch milliseconds."""
        self._db = database
        self._clock = clock

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        """See `Messages.send`. Every platform is served; a message of one that is not installed
        is rejected by its handler."""
        # A platform's message names it.
        queue = BRIDGE if platform == BRIDGE else PLATFORMS
        self._send(queue, [encode(message) for message in messages], delay_seconds)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        self._send(WAKES, [encode(wake) for wake in wakes], delay_seconds)

    def receive(
        self, queue: str, most: int, *, hidden_seconds: int, max_receives: int
    ) -> list[Received]:
        """Return at most `most` visible messages, oldest first, and hide them for a while.

        Those that were received `max_receives` times become dead letters instead.
        """
        now = self._clock()
        with self._db.transaction() as tx:
            tx.execute(
                "UPDATE messages SET queue = queue || ? "
                "WHERE queue = ? AND visible_at <= ? AND receives >= ?",
                DEAD,
                queue,
                now,
                max_receives,
            )
            rows = tx.execute(
                "SELECT id, body, receives FROM messages WHERE queue = ? AND visible_at <= ? "
                "ORDER BY visible_at, id LIMIT ?",
                queue,
                now,
                most,
            ).fetchall()
            hidden = [(now + hidden_seconds * 1000, number) for number, _, _ in rows]
            tx.execute_many(
                "UPDATE messages SET visible_at = ?, receives = receives + 1 WHERE id = ?", hidden
            )
        return [Received(number, body, receives + 1) for number, body, receives in rows]

    def delete(self, received: Sequence[Received]) -> None:
        """Delete messages that were handled. Idempotent."""
        with self._db.transaction() as tx:
            tx.execute_many("DELETE FROM messages WHERE id = ?", [(m.id,) for m in received])

    def release(self) -> int:
        """Show what was received and not deleted, and return how many messages that are: for a
        runtime that has just started, when nobody can be handling them any more."""
        now = self._clock()
        with self._db.transaction() as tx:
            select = "UPDATE messages SET visible_at = ? WHERE receives > 0 AND visible_at > ?"
            return tx.execute(select, now, now).rowcount

    def waiting(self) -> dict[str, int]:
        """Return how many messages each queue has; those with none are left out."""
        return dict(self._db.rows("SELECT queue, COUNT(*) FROM messages GROUP BY queue"))

    def bodies(self, queue: str, most: int) -> list[Received]:
        """Return the oldest messages of a queue; they stay as they are."""
        select = "SELECT id, body, receives FROM messages WHERE queue = ? ORDER BY id LIMIT ?"
        return [Received(*row) for row in self._db.rows(select, queue, most)]

    def redrive(self, queue: str) -> int:
        """Return all dead letters of a queue to it, as new ones; return how many there were."""
        with self._db.transaction() as tx:
            tx.work.add(queue)
            back = "UPDATE messages SET queue = ?, visible_at = ?, receives = 0 WHERE queue = ?"
            return tx.execute(back, queue, self._clock(), queue + DEAD).rowcount

    def next_at(self, queue: str) -> int | None:
        """Return the time in epoch milliseconds at which the next message becomes visible, or
        None if the queue is empty."""
        rows = self._db.rows("SELECT MIN(visible_at) FROM messages WHERE queue = ?", queue)
        at: int | None = rows[0][0]
        return at

    def _send(self, queue: str, bodies: Sequence[str], delay_seconds: int) -> None:
        visible = self._clock() + max(0, min(_MAX_DELAY, delay_seconds)) * 1000
        with self._db.transaction() as tx:
            tx.work.add(queue)
            tx.execute_many(
                "INSERT INTO messages (queue, body, visible_at) VALUES (?, ?, ?)",
                [(queue, body, visible) for body in bodies],
            )
