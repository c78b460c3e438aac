"""How do waiting runs get their slots? One pass of a pool: snapshot, decide, commit, hand over.

    changes of the table ──► hints per pool ──► one pass per pool:

        ledger, configuration, heads of the queues        (strongly consistent: `snapshot`)
        decide()                                          (pure: `core.admission`)
        new runs that have to wait get a place in line
        one conditional write of the ledger               (releases and admits; a loser reads again)
        messages to the platforms' functions, then the places in line are removed

A crash after the commit leaves the places in line of runs that hold a slot: the next pass sees
them, and once they are older than the hand-over lease sends them again. A new run that starts at
once never had a place: its record is delivered again, and who finds it with a slot sends it again.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from push_dispatch.core.admission import Decision, Snapshot, apply, next_turn
from push_dispatch.core.errors import Conflict, Invalid, NotFound
from push_dispatch.core.events import Expire, Reject
from push_dispatch.core.model import DELETED, Collision, Holder, Pool, Ready, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.collide import settle_collisions, stop_replaced
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.lanes import park, park_new, surface
from push_dispatch.engine.newcomers import has_started, newcomers, send_again
from push_dispatch.engine.snapshot import BATCH, Read, decided, overview, snapshot_in
from push_dispatch.engine.transition import end_unreadable, move, transition
from push_dispatch.engine.waiting import leave, vacate
from push_dispatch.platforms.registry import entry_for
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push, StopAttempt, Wake
from push_dispatch.ports.store import Overview

__all__ = ["Passed", "dispatch", "hand_over", "send", "wake_when_due"]

log = logging.getLogger(__name__)

#: Wait reasons that never count as overdue: not due yet, or paused by a user.
_NOT_OVERDUE = frozenset(
    {
        Reason.HANDING_OVER,
        Reason.NOT_DUE,
        Reason.POOL_LIMIT_ZERO,
        Reason.POOL_PAUSED,
        Reason.QUEUE_LIMIT_ZERO,
        Reason.QUEUE_PAUSED,
    }
)
#: Passes that lose the race this often leave the pool to those that win.
_RACES = 25
#: An SQS message can sleep for 15 minutes; the sweep wakes what is due later.
WAKE_WITHIN_SECONDS = 900


@dataclass(slots=True)
class Passed:
    """What a dispatch has done, for the log and the metrics."""

    admitted: list[Ready] = field(default_factory=list)
    released: int = 0
    resent: int = 0
    expired: int = 0
    #: Waits by reason, as of the last pass.
    waiting: dict[str, int] = field(default_factory=dict)
    #: Due time of the longest-waiting run; runs paused by a user do not count.
    oldest_due: int | None = None
    races_lost: int = 0
    slots_used: int = 0


def dispatch(
    ports: Ports,
    pool_name: str,
    hints: Hints | None = None,
    *,
    thorough: bool = False,
    eager: int | None = None,
) -> Passed:
    """Give the free slots of a pool to those whose turn it is.

    A thorough pass also looks at the line of a pool without a free slot, for hand-overs to
    finish and late runs to expire; the sweep asks for it. An `eager` one tries once, and only where
    no more than so many hold slots: see `engine.eager`.

    Safe at any time, any number of times and by any number of functions at once. Raises
    Unavailable, or Conflict after losing many races: then the hints must be delivered again.
    """
    hints = hints or Hints()
    _end_unreadable(ports, hints.unreadable)
    _stop_attempts(ports, hints.stopping)
    if has_started(ports, pool_name, hints):
        return Passed()
    seen: Overview | None = overview(ports, pool_name)
    if eager is not None and seen is not None and len(seen.ledger.holders) > eager:
        raise Conflict("many hold slots")
    if seen is None or seen.pool is None:
        # Deleted, and with it the place of everybody who waited; or not there yet, while a system
        # is restored: then its runs are left alone.
        if seen is not None and seen.ledger.configuration == DELETED:
            waiting = [*map(Ready.of, hints.new), *hints.waiting]
            _end_without_pool(ports, pool_name, waiting)
        return Passed()
    arrived = newcomers(seen.pool, hints, ports.clock())
    changes = bool(hints.waiting or hints.gone or hints.due)
    passed = Passed(expired=settle_collisions(ports, seen.pool, hints))
    _line_up(ports, seen.pool, hints)
    tries = _RACES if eager is None else 1
    work = _Work(ports, pool_name, hints, thorough, arrived, passed, tries)
    # What was just written is to be seen by the pass.
    more = _pass(work, None if changes else seen)
    while more:
        more = _pass(work, None)
    if passed.admitted or passed.races_lost:
        counted = {"Admitted": len(passed.admitted), "RacesLost": passed.races_lost}
        ports.meter(counted, pool=pool_name)
    return passed


# -- before the passes ------------------------------------------------------------------------


def _end_unreadable(ports: Ports, runs: Sequence[Run]) -> None:
    """The change that this makes comes here again, and gives their slots and places back."""
    for run in runs:
        try:
            end_unreadable(ports, run)
        except Conflict as error:
            log.info("%s", error.message)  # Somebody has corrected or ended it.
        else:
            log.error("%s is ended: %s", run.id, run.unreadable)


def _end_without_pool(ports: Ports, pool: str, waiting: Iterable[Ready]) -> None:
    """Runs that were accepted while their pool was being deleted."""
    why = f"there is no pool {pool!r} any more"
    for entry in waiting:
        reject = Reject(entry.attempt, Reason.POOL_NOT_FOUND, why, unless_claimed=True)
        transition(ports, pool, entry.run, reject)


def _stop_attempts(ports: Ports, runs: Sequence[Run]) -> None:
    """Tell the platforms. The change of state is the order, so whoever may write the run may
    cancel it, and an order that gets lost here is repeated by the sweep."""
    for run in runs:
        if run.current is not None:
            try:
                ports.messages.send(run.current.platform, [StopAttempt(run.id, run.attempt)])
            except NotFound as error:
                log.warning("cannot stop %s: %s", run.id, error.message)


def _line_up(ports: Ports, pool: Pool, hints: Hints) -> None:
    """Enqueue ready entries, and schedule a wake-up for those due later."""
    now = ports.clock()
    known = {queue.name for queue in pool.queues}
    entries = [entry for entry in hints.waiting if entry.queue in known]
    if strangers := [entry for entry in hints.waiting if entry.queue not in known]:
        # Submitted while their queue was being deleted.
        move(ports, pool.name, strangers)
    if hints.gone:
        ports.store.dequeue(pool.name, hints.gone)
    vacate(ports, pool, hints.over)
    if not entries:
        return
    # Where a lane was chosen by a ledger that another pass replaces, the pass to come finds it.
    hints.parked += park_new(ports, pool, entries)
    soon = now + WAKE_WITHIN_SECONDS * 1000
    wake_when_due(ports, pool.name, [e for e in entries if now < e.due <= soon])


def wake_when_due(ports: Ports, pool: str, entries: Sequence[Ready]) -> None:
    """Have dispatch woken when these places are due: once a second, not once a place."""
    now = ports.clock()
    seconds: dict[int, list[str]] = defaultdict(list)
    for entry in entries:
        concerned = entry.collision is not Collision.ENQUEUE or entry.start_by is not None
        named = [entry.run] if concerned else []
        seconds[-((now - entry.due) // 1000)] += named
    for delay, runs in sorted(seconds.items()):
        parts = [runs[at : at + BATCH] for at in range(0, len(runs), BATCH)] or [[]]
        ports.messages.wake([Wake(pool, due=tuple(part)) for part in parts], delay)


# -- one pass ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """What one dispatch is about."""

    ports: Ports
    pool: str
    hints: Hints
    thorough: bool
    #: New runs without a place in line: a pass admits them, or gives them one.
    arrived: list[Ready]
    passed: Passed
    #: Races for the ledger that it takes part in.
    tries: int = _RACES


def _pass(work: _Work, seen: Overview | None) -> bool:
    """One snapshot, one decision, one commit. True if another pass may admit more."""
    ports, hints, passed = work.ports, work.hints, work.passed
    for race in range(work.tries):
        seen = overview(ports, work.pool) if race or seen is None else seen
        found = snapshot_in(seen)
        if found is None:
            return False
        _finish_hand_overs(work, found)
        read, freed = _decide(work, found, seen)
        snapshot, decision = read.snapshot, read.decision
        placed = _place(work, snapshot.pool, decision.admit)
        if decision.admit or freed:
            try:
                snapshot, decision = _commit(ports, snapshot, decision)
            except Conflict:
                passed.races_lost += 1
                if race + 1 < work.tries:
                    ports.rest(race)
                continue
        # Whom the ledger had no room for.
        placed |= _place(work, snapshot.pool, decision.admit)
        work.arrived.clear()
        passed.released += len(freed)
        passed.slots_used = len(snapshot.ledger.holders)
        _carry_out(work, snapshot, decision, read.unplaced)
        more = _settle_lanes(work, read, snapshot, freed)
        # Who gave a slot back before somebody was placed has not seen them in line.
        more |= placed or len(decision.admit) >= BATCH
        # Only who has taken a turn, or brings somebody new, sees to the next one: a wake that
        # comes in vain begets no other.
        if not more and (passed.admitted or hints.waiting or work.thorough):
            _wake_for_turn(ports, snapshot, decision)
        return more
    raise Conflict(f"pool {work.pool!r}: lost {work.tries} races for the ledger")


def _decide(work: _Work, found: Snapshot, seen: Overview) -> tuple[Read, list[Holder]]:
    """The decision about this snapshot, and the holders that it releases."""
    ports, pool = work.ports, found.pool
    ledger = found.ledger.without(work.hints.ended)
    kept = {holder.slot for holder in ledger.holders}
    freed = [h for h in found.ledger.holders if h.slot not in kept]
    # Before the commit, so that it may admit them; and after it, as they may come meanwhile.
    touched: list[Ready | Holder] = [*work.hints.touched, *work.hints.parked, *freed]
    back = surface(ports, pool, ledger, touched, unlimited=work.thorough, blindly=True)
    read = decided(
        ports,
        replace(found, ledger=ledger),
        ports.clock(),
        thorough=work.thorough,
        heads={} if work.thorough else seen.heads,
        back=back,
        new=work.arrived,
    )
    return read, freed


def _place(work: _Work, pool: Pool, admitted: Collection[Ready]) -> bool:
    """Give those of the new runs a place in line that are not admitted; True if there are any.
    Before the commit: who commits afterwards finds them."""
    kept = set(admitted)
    left = [place for place in work.arrived if place not in kept]
    if left:
        work.hints.parked += park_new(work.ports, pool, left)
        work.hints.waiting += left
        work.arrived = [place for place in work.arrived if place in kept]
    return bool(left)


def _finish_hand_overs(work: _Work, found: Snapshot) -> None:
    """Send those of the new runs again that hold their slots: whoever admitted them may have died
    before it sent them."""
    held = {holder.slot for holder in found.ledger.holders}
    theirs = [place for place in work.arrived if place.slot in held]
    if theirs:
        work.arrived = [place for place in work.arrived if place.slot not in held]
        again = send_again(work.ports, found.pool, theirs)
        hand_over(work.ports, found.pool, again, unplaced=again)
        work.passed.resent += len(again)


def _commit(ports: Ports, snapshot: Snapshot, decision: Decision) -> tuple[Snapshot, Decision]:
    """Write the ledger, and return what holds after it. Raises Conflict."""
    ledger = apply(snapshot, decision.admit, ports.clock())
    try:
        ports.store.commit(ledger)
    except Invalid as error:
        # Slots go back whatever becomes of the admission.
        log.warning("pool %s: %s not admitted: %s", ledger.pool, len(decision.admit), error)
        decision = replace(decision, admit=())
        ledger = apply(snapshot, (), ports.clock())
        ports.store.commit(ledger)
    return replace(snapshot, ledger=ledger), decision


def _settle_lanes(work: _Work, read: Read, snapshot: Snapshot, freed: Sequence[Holder]) -> bool:
    """Park who is in the way, and bring back those whose turn it is now. True if either was done:
    then another pass may admit more."""
    ports, hints, decision = work.ports, work.hints, read.decision
    pool, ledger = snapshot.pool, snapshot.ledger
    # Whose record was lost on the way in.
    stop_replaced(ports, pool, ledger, [w.ready for w in decision.wait])
    parked = park(ports, pool, ledger, read.in_the_way, read.before_them)
    if parked:
        # Another pass may have freed their key, and have looked for them before they were here.
        ledger = ports.store.ledger(pool.name)
    done = (*decision.admit, *decision.resend, *decision.expire, *decision.collide)
    left = (*hints.gone, *hints.parked, *done, *read.stale, *parked)
    surfaced = surface(ports, pool, ledger, (*hints.touched, *freed), left=left, but=read.empty)
    # What has been told once need not be looked at again.
    hints.touched, hints.gone, hints.parked = [], [], []
    return bool(parked or surfaced)


def _wake_for_turn(ports: Ports, snapshot: Snapshot, decision: Decision) -> None:
    now = ports.clock()
    turn = next_turn(snapshot, decision, now)
    if turn is not None and turn <= now + WAKE_WITHIN_SECONDS * 1000:
        ports.messages.wake([Wake(snapshot.pool.name)], -((now - turn) // 1000))


# -- after the commit -------------------------------------------------------------------------


def _carry_out(
    work: _Work, snapshot: Snapshot, decision: Decision, unplaced: Collection[Ready]
) -> None:
    ports, pool, passed = work.ports, snapshot.pool, work.passed
    for reason, entries in (
        (Reason.EXPIRED, decision.expire),
        (Reason.CANCELLED_BY_COLLISION, decision.collide),
    ):
        for entry in entries:
            transition(ports, pool.name, entry.run, Expire(reason))
        leave(ports, pool, entries)
        passed.expired += len(entries)
    hand_over(ports, pool, (*decision.admit, *decision.resend), unplaced=unplaced)
    passed.admitted += decision.admit
    passed.resent += len(decision.resend)
    passed.waiting = dict(Counter(wait.reason for wait in decision.wait))
    due = [w.ready.due for w in decision.wait if w.reason not in _NOT_OVERDUE]
    passed.oldest_due = min(due, default=None)


def hand_over(
    ports: Ports,
    pool: Pool,
    entries: Sequence[Ready],
    *,
    since: int | None = None,
    unplaced: Collection[Ready] = (),
) -> None:
    """Send admitted runs to their platform's function, and only then forget their places, but for
    those of `unplaced`, which have none. They have held their slots `since` then, in epoch
    milliseconds; None is now."""
    if not entries:
        return
    try:
        send(ports, pool, entries, since)
    except NotFound as error:
        for entry in entries:
            reject = Reject(entry.attempt, error.reason, error.message, unless_claimed=True)
            transition(ports, pool.name, entry.run, reject)
    if placed := [entry for entry in entries if entry not in unplaced]:
        leave(ports, pool, placed)
    vacate(ports, pool, [entry for entry in entries if entry in unplaced])


def send(ports: Ports, pool: Pool, entries: Sequence[Ready], since: int | None = None) -> None:
    """Order the pushes of these runs. Raises NotFound (`platform_not_configured`), Unavailable."""
    pushes = [
        Push(
            f"{pool.name}.{e.run}",
            e.attempt,
            pool.type,
            pool.template,
            gated=bool(pool.fallbacks),
            since=ports.clock() if since is None else since,
        )
        for e in entries
    ]
    ports.messages.send(pool.gateway or entry_for(pool.type).platform, pushes)
