"""Where does a run wait whose key is full, so that it stands in nobody's way?

A lane: beside the queue's line, for the runs of one key, one deployment or one key of a named
limit. Lanes are derived, never authoritative: a run in one is read again when a slot of its key is
free, when a run of its key leaves the line, and by the sweep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from push_dispatch.core.model import MAX_SLOTS, NOT_DUE_LANE, Holder, Pool, Queue, Ready
from push_dispatch.core.reasons import Reason
from push_dispatch.core.usage import Used, scope_of, slot_name

__all__ = ["PARKED", "full_lane", "in_any_lane", "room_in"]

#: Reasons to wait whose end is the end of a run of the same lane.
PARKED = frozenset({"key_limit", Reason.DEPLOYMENT_LIMIT, Reason.NAMED_LIMIT})

_KEY, _DEPLOYMENT, _NAMED = "k", "d", "l"


def in_any_lane(ready: Ready, *, lanes: bool = True) -> list[Ready]:
    """The place in the line, and, with `lanes`, in each of those in which the run may wait."""
    others = [_digest(kind, name) for kind, name in _names(ready)] if lanes else []
    others += [NOT_DUE_LANE] if lanes and ready.start_by is not None else []
    return [replace(ready, lane=lane) for lane in ("", *others)]


def full_lane(pool: Pool, used: Used, ready: Ready) -> str | None:
    """The first lane of the run that has no room; None if all have."""
    queue = pool.queue(ready.queue)
    if queue is None:
        return None
    for kind, name in _names(ready):
        room = _room(pool, queue, used, kind, name)
        if room is not None and room <= 0:
            return _digest(kind, name)
    return None


def room_in(
    pool: Pool, queue: Queue, used: Used, run: Ready | Holder, *, unlimited: bool
) -> Iterator[tuple[str, int]]:
    """The lanes of this run's keys in a queue, with how many more slots may be held by runs of
    each; lanes without room are left out, and those without a limit unless `unlimited`."""
    for kind, name in _names(run):
        room = _room(pool, queue, used, kind, name)
        if room is None:
            room = MAX_SLOTS if unlimited else 0
        if room > 0:
            yield _digest(kind, name), room


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
