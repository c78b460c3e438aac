"""What does time alone change? Once a minute, pool by pool, one function per thing.

Nothing depends on it on the normal path. It finishes what a crash has left half-done, wakes what
is due, and looks after attempts that nobody has heard of.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from push_dispatch.core.canonical import digest_of
from push_dispatch.core.errors import NotFound, PushDispatchError
from push_dispatch.core.events import Expire, TimeOut, Warn
from push_dispatch.core.model import NOT_DUE_LANE, Attempt, Holder, Pool, Ready, Run, RunState
from push_dispatch.core.polling import AT_ONCE
from push_dispatch.core.waiting import has_bounds
from push_dispatch.engine.audit import audit
from push_dispatch.engine.dispatch import (
    WAKE_WITHIN_SECONDS,
    Passed,
    dispatch,
    hand_over,
    wake_when_due,
)
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.lanes import has_lanes, heads_of_lanes, unpark_queue
from push_dispatch.engine.overtime import overtime
from push_dispatch.engine.polls import are_polled
from push_dispatch.engine.transition import end_unreadable, move, transition
from push_dispatch.engine.waiting import leave, tidy_seats
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Poll, Push, StopAttempt, Watch

__all__ = ["Swept", "sweep", "sweep_pool"]

log = logging.getLogger(__name__)

#: A hand-over that its pool allows to sleep no longer, or a claim whose lease has ended, is started
#: again after this time.
STUCK_SECONDS = 120
#: An attempt that was not heard of for this long is looked at.
SILENT_SECONDS = 50
#: An attempt of which nothing was heard is stopped this long after its time was up, if no poll has
#: settled it until then: it may have ended in time, and only a poll can tell.
UNSEEN_SECONDS = 150
#: The change that tells of an end is here within seconds. After this long it has got lost.
DRIFT_SECONDS = 60
#: Places that one sweep wakes or expires per pool; the next one goes on.
_TICKS = 1000
_POLL_BATCH = 100


@dataclass(slots=True)
class Swept:
    """What a sweep has done, for the log and the metrics."""

    pools: int = 0
    woken: int = 0
    pushed_again: int = 0
    polled: int = 0
    stopped: int = 0
    #: Slots held by attempts that had ended a minute before: should be 0.
    drifted: int = 0
    moved: int = 0
    #: Runs that were in no line although they waited: the record of them was lost.
    enqueued_late: int = 0
    expired: int = 0
    #: Runs that wait although the time by which they should start is near.
    at_risk: int = 0
    failed: list[str] = field(default_factory=list)
    #: Pools that the time did not suffice for: the next sweep begins with the first of them.
    left: list[str] = field(default_factory=list)


def sweep(ports: Ports, *, first: str = "", until: int | None = None) -> Swept:
    """Sweep every unsettled pool in the order of names, beginning with `first` and going round.
    A pool that fails is reported in `failed` and does not hold up the others. No pool is begun
    after `until`, in epoch milliseconds; at least one is swept."""
    swept = Swept()
    names = ports.store.unsettled_pools()
    turn = bisect_left(names, first) if first else 0
    in_turn = names[turn:] + names[:turn]
    for number, name in enumerate(in_turn):
        if number and until is not None and ports.clock() >= until:
            swept.left = in_turn[number:]
            break
        try:
            sweep_pool(ports, name, swept)
        except PushDispatchError as error:
            log.warning("sweep of pool %s: %s", name, error.message)
            swept.failed.append(name)
        except Exception:  # a bug of ours, or an item that nobody has thought of
            log.exception("sweep of pool %s", name)
            swept.failed.append(name)
    return swept


def sweep_pool(ports: Ports, name: str, swept: Swept) -> None:
    """Sweep one pool. Idempotent; safe beside anything else."""
    pool = ports.store.pool(name)
    if pool is None:
        return
    swept.pools += 1
    held = _holders_with_runs(ports, name)
    hints, drifted = settle_ended(held, ports.clock())
    swept.drifted += drifted
    push_again(ports, pool, held, swept)
    stop_overdue(ports, held, swept)
    repeat_stops(ports, held, swept)
    poll_silent(ports, name, held, swept)
    late = audit(ports, name)
    swept.enqueued_late += late
    move_retired(ports, pool, swept)
    warned = -swept.at_risk
    wake_due(ports, pool, held, swept)
    warned += swept.at_risk
    # Where one begins differs from minute to minute: the names of lanes are digests.
    after = digest_of({"at": ports.clock() // 60_000})
    if pool.laned or has_lanes(pool):
        hints.parked += heads_of_lanes(ports, pool, after)
    if has_bounds(pool):
        tidy_seats(ports, pool, after)
    passed = dispatch(ports, name, hints, thorough=True)
    ports.store.settle(name, held=bool(held))
    measure(
        ports, name, passed, {"SlotDrift": drifted, "EnqueuedLate": late, "StartsAtRisk": warned}
    )


def settle_ended(held: Sequence[tuple[Holder, Run | None]], now: int) -> tuple[Hints, int]:
    """What the changes tell, or would have told, of attempts that are over: that their slots are
    free, and of the next attempt that a run waits for. And how many have been over for so long
    that their change is lost."""
    ended = [(h, run) for h, run in held if run is None or run.has_ended(h.attempt)]
    lost = sum(_ended_at(run, h.attempt) <= now - DRIFT_SECONDS * 1000 for h, run in ended)
    again = [Ready.of(run) for _, run in ended if run and run.state is RunState.SCHEDULED]
    return Hints(ended={h.slot for h, _ in ended}, waiting=again), lost


def push_again(
    ports: Ports, pool: Pool, held: Sequence[tuple[Holder, Run | None]], swept: Swept
) -> None:
    """Runs that hold a slot and were not sent, or whose push died in the middle."""
    now = ports.clock()
    asleep = (pool.hold_seconds + STUCK_SECONDS) * 1000
    for holder, run in held:
        if run is None:
            continue
        attempt = run.current
        if run.waits_for(holder.attempt) and now - holder.since >= asleep:
            # Since it got its slot: one that may not wait any longer gives it back, and does not
            # become one more that sleeps.
            hand_over(ports, pool, [Ready.of(run)], since=holder.since)
        elif (
            attempt is not None
            and attempt.number == holder.attempt
            and attempt.handle is None
            and run.state in (RunState.PENDING, RunState.CANCELLING)
            and now >= attempt.lease_until + STUCK_SECONDS * 1000
        ):
            again = Push(
                run.id,
                attempt.number,
                attempt.type,
                attempt.template,
                fallback=len(attempt.tried),
                gated=bool(pool.fallbacks),
            )
            _send(ports, attempt.platform, [again])
        else:
            continue
        swept.pushed_again += 1


def stop_overdue(ports: Ports, held: Sequence[tuple[Holder, Run | None]], swept: Swept) -> None:
    """Runs beyond their timeout, and attempts that do not begin. The change of state is the order
    to stop them. Of whom nothing was heard is polled first: see `finish.look`."""
    for _, run in held:
        found = overtime(ports, run) if run else None
        if run is None or run.current is None or found is None:
            continue
        _, over = found
        if over >= UNSEEN_SECONDS * 1000 or not _is_silent(ports, run.current):
            transition(ports, run.pool, run.uuid, TimeOut(run.attempt), run=run)
            swept.stopped += 1


def repeat_stops(ports: Ports, held: Sequence[tuple[Holder, Run | None]], swept: Swept) -> None:
    """Orders to stop may have been lost."""
    for _, run in held:
        if run and run.state is RunState.CANCELLING and run.current and run.current.handle:
            _send(ports, run.current.platform, [StopAttempt(run.id, run.attempt)])
            swept.stopped += 1


def poll_silent(
    ports: Ports, pool: str, held: Sequence[tuple[Holder, Run | None]], swept: Swept
) -> None:
    """Attempts of which nothing was heard: the event may be lost, or the platform sends none and
    they have grown old."""
    silent: dict[str, list[tuple[Watch, bool]]] = defaultdict(list)
    for holder, run in held:
        attempt = run.current if run else None
        if run is None or attempt is None or attempt.number != holder.attempt:
            continue
        if attempt.handle and not run.has_ended(attempt.number) and _is_silent(ports, attempt):
            watch = Watch(attempt.handle, run.id, attempt.number)
            young = ports.clock() - holder.since < ports.pauses.until
            silent[attempt.platform].append((watch, young))
    for platform, found in silent.items():
        # If a message was lost nobody polls the young ones, and where they are many not all.
        number = sum(young for _, young in found)
        polled = 0 < number <= AT_ONCE and are_polled(ports, pool, platform)
        watches = [watch for watch, young in found if not (young and polled)]
        polls = [Poll(platform, tuple(batch)) for batch in _batches(watches)]
        _send(ports, platform, polls)
        swept.polled += len(watches)


def move_retired(ports: Ports, pool: Pool, swept: Swept) -> None:
    """Runs that wait in a queue that was deleted go on in the default queue."""
    for queue in pool.retired:
        if pool.laned:
            unpark_queue(ports, pool.name, queue)
        if entries := ports.store.line(pool.name, queue, _TICKS):
            swept.moved += len(move(ports, pool.name, entries))


def wake_due(
    ports: Ports, pool: Pool, held: Sequence[tuple[Holder, Run | None]], swept: Swept
) -> None:
    """Places whose time comes before the next sweep, or has passed."""
    now = ports.clock()
    slots = {holder.slot for holder, _ in held}
    ticks = ports.store.ticks(pool.name, now + WAKE_WITHIN_SECONDS * 1000, _TICKS)
    wake_when_due(ports, pool.name, [entry for entry in ticks if entry.due > now])
    for entry in ticks:
        if entry.due > now:
            swept.woken += 1
            if entry.lane != NOT_DUE_LANE:
                ports.store.ticked(pool.name, entry, entry.expires)
        elif entry.lane == NOT_DUE_LANE:
            _bring_into_line(ports, pool, entry)
        elif entry.expires is not None and entry.expires <= now:
            if entry.slot not in slots:
                _expire(ports, pool, entry)
                swept.expired += 1
        elif entry.warns_at is not None and entry.warns_at <= now:
            swept.at_risk += _warn(ports, pool, entry, held=entry.slot in slots)
        elif entry.expires is None and entry.warns_at is None:
            ports.store.ticked(pool.name, entry, None)


def _bring_into_line(ports: Ports, pool: Pool, entry: Ready) -> None:
    """Whose wake-up was lost."""
    in_line = replace(entry, lane="", also_in=NOT_DUE_LANE)
    ports.store.enqueue(pool.name, [in_line], ports.clock())
    ports.store.ticked(pool.name, entry, None)


def _warn(ports: Ports, pool: Pool, entry: Ready, *, held: bool) -> bool:
    """Say of a run that waits that it may start too late: once."""
    run = None if held else ports.store.run(pool.name, entry.run)
    waits = run is not None and run.waits_for(entry.attempt) and run.warned_at is None
    if run is not None and waits:
        transition(ports, pool.name, entry.run, Warn(), run=run)
    ports.store.ticked(pool.name, entry, entry.expires)
    return waits


def measure(ports: Ports, name: str, passed: Passed, repaired: Mapping[str, int]) -> None:
    """How the pool stands and what was repaired, as far as there is something to say."""
    waited = 0.0 if passed.oldest_due is None else (ports.clock() - passed.oldest_due) / 1000
    values = {"SlotsUsed": passed.slots_used, "OldestWaiting": waited, **repaired}
    if stands := {metric: value for metric, value in values.items() if value > 0}:
        ports.meter(stands, pool=name)
    for reason, number in passed.waiting.items():
        ports.meter({"Waiting": number}, pool=name, reason=reason)


# -- details ----------------------------------------------------------------------------------


def _holders_with_runs(ports: Ports, name: str) -> list[tuple[Holder, Run | None]]:
    holders = ports.store.ledger(name).holders
    runs = ports.store.runs(name, (holder.run for holder in holders))
    for run in [run for run in runs.values() if run.unreadable]:
        # Nobody else could free its slot.
        runs[run.uuid] = end_unreadable(ports, run)
    return [(holder, runs.get(holder.run)) for holder in holders]


def _ended_at(run: Run | None, attempt: int) -> int:
    """Long ago, if nobody knows."""
    if run is None:
        return 0
    ends = [a.ended_at for a in run.attempts if a.number == attempt]
    return (ends[0] if ends else run.ended_at) or 0


def _is_silent(ports: Ports, attempt: Attempt) -> bool:
    heard = attempt.seen_at or attempt.pushed_at or attempt.claimed_at
    return ports.clock() - heard >= SILENT_SECONDS * 1000


def _expire(ports: Ports, pool: Pool, entry: Ready) -> None:
    run = ports.store.run(pool.name, entry.run)
    if run is not None and run.waits_for(entry.attempt):
        transition(ports, pool.name, entry.run, Expire(), run=run)
    leave(ports, pool, [entry])


def _send(ports: Ports, platform: str, messages: Sequence[Message]) -> None:
    try:
        ports.messages.send(platform, messages)
    except NotFound as error:
        log.warning("%s", error.message)


def _batches(watches: Sequence[Watch]) -> Iterator[Sequence[Watch]]:
    for start in range(0, len(watches), _POLL_BATCH):
        yield watches[start : start + _POLL_BATCH]
