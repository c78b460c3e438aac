"""Who gives out slots at once, before the stream has told dispatch?

Eager: whoever has stored new runs, or the end of some, runs the pass of their pool itself, by the
same code. The stream delivers the change a quarter of a second later; it is the safety net, and
finds nothing to do.

One try. A pool where somebody else was faster, where more hold slots than a kilobyte of the ledger
has, or where there is nothing to give, is left to the stream, by this process for the next seconds
as well: of a burst the stream's batches share commits, and a pass for each would be in the way.
Whatever goes wrong here is no error: what was stored is stored, and the stream goes on from there.

A crash after the commit leaves what one of dispatch leaves. New runs that hold their slots are sent
again when their record comes; places in line that were not handed over, after their lease.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from push_dispatch.core.admission import apply
from push_dispatch.core.errors import Conflict, Misconfigured, PushDispatchError
from push_dispatch.core.model import Ready, Run
from push_dispatch.engine.dispatch import dispatch, send
from push_dispatch.engine.hints import Hints, hints_of
from push_dispatch.engine.lanes import has_lanes
from push_dispatch.engine.newcomers import newcomers
from push_dispatch.engine.snapshot import decided, overview, snapshot_in
from push_dispatch.engine.waiting import vacate
from push_dispatch.ports import Ports
from push_dispatch.ports.store import Change, Overview

__all__ = ["FEW", "admit", "look", "release"]

log = logging.getLogger(__name__)

#: Runs at once, and holders of slots: a ledger of so many has a kilobyte.
FEW = 25


def look(ports: Ports, pools: Collection[str]) -> dict[str, Overview]:
    """Read those of the pools whose new runs are to be admitted at once: whoever submits them reads
    their configuration anyway. Raises Unavailable."""
    seen: dict[str, Overview] = {}
    for pool in pools:
        if ports.eager is not None and ports.eager.may_try(pool, ports.clock()):
            try:
                seen[pool] = overview(ports, pool)
            except Misconfigured as error:
                # Who may only read the configuration still may submit.
                _leave(ports, pool, error)
    return seen


def admit(ports: Ports, runs: Sequence[Run], seen: Mapping[str, Overview]) -> frozenset[str]:
    """Start these runs, which have just been stored, as far as they can start now, in pools that
    have been `seen` before; return the ids of those that were handed over. Raises nothing."""
    started: set[str] = set()
    for pool, new in _by_pool(runs).items():
        if pool in seen:
            with _left_to_the_stream(ports, pool):
                places = _admit(ports, seen[pool], new)
                started |= {f"{pool}.{place.run}" for place in places}
    return frozenset(started)


def release(ports: Ports, runs: Sequence[Run]) -> None:
    """Give the slots of these runs, which have just ended, to those whose turn it is. Raises
    nothing."""
    for pool, ended in _by_pool(runs).items():
        if ports.eager is not None and ports.eager.may_try(pool, ports.clock()):
            hints = hints_of([Change(pool, None, run) for run in ended])[pool]
            with _left_to_the_stream(ports, pool):
                # Seats have time until the stream comes.
                dispatch(ports, pool, replace(hints, over=[]), eager=FEW)


def _by_pool(runs: Iterable[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.pool].append(run)
    return found


@contextmanager
def _left_to_the_stream(ports: Ports, pool: str) -> Iterator[None]:
    """Whatever goes wrong: what was to be stored is stored."""
    try:
        yield
    except PushDispatchError as error:
        _leave(ports, pool, error)
    except Exception as error:
        log.exception("an eager pass failed")
        _leave(ports, pool, error)


def _leave(ports: Ports, pool: str, error: Exception) -> None:
    log.info("pool %s is left to the stream: %s", pool, error)
    if ports.eager is not None:
        ports.eager.leave(pool, ports.clock())


def _admit(ports: Ports, seen: Overview, new: Sequence[Run]) -> Sequence[Ready]:
    """Raises Conflict where the stream is to do it."""
    found, now = snapshot_in(seen), ports.clock()
    if found is None or _is_busy(seen, now):
        raise Conflict("it is busy")
    held = {holder.slot for holder in found.ledger.holders}
    arrived = newcomers(found.pool, Hints(new=list(new)), now)
    # Who has a slot already has it of somebody who is about to send it.
    arrived = [place for place in arrived if place.slot not in held]
    read = decided(ports, found, now, thorough=False, heads=seen.heads, new=arrived)
    admitted = read.decision.admit
    if not admitted:
        raise Conflict("it has no room for them now")
    ports.store.commit(apply(read.snapshot, admitted, now))
    send(ports, found.pool, admitted)
    vacate(ports, found.pool, admitted)
    return admitted


def _is_busy(seen: Overview, now: int) -> bool:
    """Whether others are before a new run, or may be: then there is more to do than to admit it."""
    assert seen.pool is not None  # noqa: S101 - the caller has looked
    waiting = any(place.placed <= now for heads in seen.heads.values() for place in heads.places)
    unread = {queue.name for queue in seen.pool.queues} - seen.heads.keys()
    many = len(seen.ledger.holders) > FEW
    return waiting or bool(unread) or many or has_lanes(seen.pool)
