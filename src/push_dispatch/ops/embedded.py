"""Is a local runtime's file sound, and what did its functions fail to handle?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.adapters.sqlite.queues import DEAD, PLATFORMS, WAKES, Queues
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.ops.dead_letters import Given, Letter, Redriven
from push_dispatch.ops.doctor import examine_pools
from push_dispatch.ops.findings import Finding, fine, problem, unknown
from push_dispatch.ops.system import Queue
from push_dispatch.ports import Ports

__all__ = ["dead_letters", "examine_embedded", "redrive", "show"]


def examine_embedded(
    ports: Ports, database: Database, file: str, *, repair: bool
) -> Iterator[Finding]:
    """Examine the file of a local runtime, its dead letters, credentials and ledgers. Changes
    nothing but ledgers and lines, and those only to `repair` them."""
    try:
        damage = database.damage()
        dead = dead_letters(Queues(database, ports.clock))
    except PushDispatchError as error:
        yield unknown("file", file, error.message)
        return
    if damage:
        yield problem("file", file, damage, "Stop the runtime and start with another --data-dir.")
    else:
        yield fine("file", file, "sound")
    for given in dead:
        if given.queue.waiting:
            message = f"{given.queue.waiting} dead letters"
            remedy = "Correct the cause, then: push-dispatch dead-letters redrive"
            yield problem("dead_letters", given.queue.name, message, remedy)
        else:
            yield fine("dead_letters", given.queue.name, "empty")
    yield from examine_pools(ports, repair=repair)


def dead_letters(queues: Queues) -> list[Given]:
    """Return the queues of dead letters."""
    waiting = queues.waiting()
    return [
        Given(_queue(name + DEAD, waiting.get(name + DEAD, 0)), (name,))
        for name in (PLATFORMS, WAKES)
    ]


def show(queues: Queues, given: Given, most: int) -> list[Letter]:
    """Return the oldest dead letters of a queue; they stay there."""
    found = queues.bodies(given.queue.name, most)
    return [Letter(str(m.id), "", m.body, origin=given.sources[0]) for m in found]


def redrive(queues: Queues, given: Given) -> Redriven:
    """Return all dead letters to the queue that they came from. Idempotent."""
    [source] = given.sources
    sent = queues.redrive(source)
    return Redriven(given.queue.name, Counter({source: sent} if sent else {}))


def _queue(name: str, waiting: int) -> Queue:
    return Queue(name, "", {"ApproximateNumberOfMessages": str(waiting)})
