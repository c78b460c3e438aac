"""Where does a run wait whose key is full, so that it stands in nobody's way?

A lane: beside the queue's line, for the runs of one key, one deployment or one key of a named
limit. Lanes are derived, never authoritative: a run in one is read again when a slot of its key is
free, when a run of its key leaves the line, and by the sweep.

Time alone lets in those who wait for a rate, and no record says so. So the first of them stays in
line, where a pass sees that it waits and when its turn comes; when it leaves, the next comes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from push_dispatch.core.model import MAX_SLOTS, NOT_DUE_LANE, Holder, Keys, Pool, Queue, Ready
from push_dispatch.core.reasons import Reason
from push_dispatch.core.usage import Used, scope_of, slot_name

__all__ = ["full_lane", "in_any_lane", "parkable", "rated_lanes", "room_in"]

#: Reasons to wait whose end is the end of a run of the same lane.
_PARKED = frozenset({"key_limit", Reason.DEPLOYMENT_LIMIT, Reason.NAMED_LIMIT})

_KEY, _DEPLOYMENT, _NAMED = "k", "d", "l"


def in_any_lane(ready: Ready, *, lanes: bool = True) -> list[Ready]:
    """The place in the line, and, with `lanes`, in each of those in which the run may wait."""
    others = [_digest(kind, name) for kind, name in _names(ready)] if lanes else []
    others += [NOT_DUE_LANE] if lanes and ready.start_by is not None else []
    return [replace(ready, lane=lane) for lane in ("", *others)]


def parkable(waiting: Iterable[tuple[Ready, str]]) -> tuple[list[Ready], list[Ready]]:
    """Of the runs that wait, in order, with their reasons, those that need not stand in line: all
    whose key is full, and all but the first of those that wait for the same rates. And these."""
    parked: list[Ready] = []
    first: dict[tuple[str, Keys], Ready] = {}
    for ready, reason in waiting:
        rated = reason == Reason.NAMED_RATE
        if reason in _PARKED or (rated and (ready.queue, ready.keys) in first):
            parked.append(ready)
        elif rated:
            first[ready.queue, ready.keys] = ready
    followed = {(ready.queue, ready.keys) for ready in parked}
    return parked, [ready for of, ready in first.items() if of in followed]


def full_lane(pool: Pool, used: Used, ready: Ready) -> str | None:
    """The first lane of the run that has no room, and only then one whose rate is spent: there
    somebody else stands in line. None if all have room."""
    queue = pool.queue(ready.queue)
    if queue is None:
        return None
    names = list(_names(ready))
    for kind, name in names:
        room = _room(pool, queue, used, kind, name)
        if room is not None and room <= 0:
            return _digest(kind, name)
    return next((_digest(k, n) for k, n in names if k == _NAMED and used.is_spent(pool, n)), None)


def room_in(
    pool: Pool, queue: Queue, used: Used, run: Ready | Holder, *, unlimited: bool
) -> Iterator[tuple[str, int]]:
    """The lanes of this run's keys in a queue, with how many more slots may be held by runs of
    each; lanes without room are left out, and those without a limit unless `unlimited`."""
    for kind, name in _names(run):
        room = _room(pool, queue, used, kind, name)
        starts = used.starts_left(pool, name) if kind == _NAMED else None
        if room is None:
            room = MAX_SLOTS if unlimited and starts is None else 0
        if room > 0:
            yield _digest(kind, name), room if starts is None else min(room, max(1, starts))


def rated_lanes(
    pool: Pool, queue: Queue, used: Used, run: Ready | Holder
) -> Iterator[tuple[str, int]]:
    """The lanes of this run's keys that have a rate, with how many more runs of each may start, and
    one at least: the first of them waits in line for its turn. Those whose number of slots leaves
    no room are left out."""
    for kind, name in _names(run):
        starts = used.starts_left(pool, name) if kind == _NAMED else None
        if starts is not None:
            room = _room(pool, queue, used, kind, name)
            if room is None or room > 0:
                yield _digest(kind, name), min(MAX_SLOTS if room is None else room, max(1, starts))


def _names(run: Ready | Holder) -> Iterator[tuple[str, str]]:
    if run.concurrency_key:
        yield _KEY, slot_name(run.concurrency_key)
    if run.deployment:
        yield _DEPLOYMENT, slot_name(run.deployment)
    for name, key in run.keys:
        yield _NAMED, scope_of(name, key)


def _room(pool: Pool, queue: Queue, used: Used, kind: str, name: str) -> int | None:
    """How many more slots runs of a lane may hold; None is any number."""
    if kind == _KEY:
        rooms = []
        if pool.key_limit is not None:
            rooms.append(pool.key_limit - used.keys[name])
        if queue.key_limit is not None:
            rooms.append(queue.key_limit - used.queue_keys[queue.name, name])
        return min(rooms, default=None)
    if kind == _DEPLOYMENT:
        limit = _deployment_limit(pool, name)
        return None if limit is None else limit - used.deployments[name]
    limit = next((each.limit for each in pool.limits if name.startswith(f"{each.name}:")), None)
    return None if limit is None else limit - used.named[name]


def _deployment_limit(pool: Pool, name: str) -> int | None:
    """The limit of a deployment as a ledger names it: long names by a digest."""
    limits = pool.deployment_limits
    if name in limits or not name.startswith("#"):
        return limits.get(name)
    return next((limit for each, limit in limits.items() if slot_name(each) == name), None)


def _digest(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode("utf-8", "replace")).hexdigest()[:20]
