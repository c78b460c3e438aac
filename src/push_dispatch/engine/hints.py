"""What do the changes of the table say about each pool?

Hints: attempts that are over, runs that wait, entries of the line that are stale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from push_dispatch.core.model import Ready, Run, RunState, Slot
from push_dispatch.ports.store import Change

__all__ = ["Hints", "hints_of"]


@dataclass(slots=True)
class Hints:
    """What a batch of changes tells of one pool. Every statement stays true for ever."""

    #: Attempts that are over: their slots are free.
    ended: set[Slot] = field(default_factory=set)
    #: Runs as they were inserted: they wait for their first attempt.
    new: list[Run] = field(default_factory=list)
    #: Other runs that wait for an attempt.
    waiting: list[Ready] = field(default_factory=list)
    #: Places in line that have become pointless.
    gone: list[Ready] = field(default_factory=list)
    #: Runs that were asked to stop while they hold a slot.
    stopping: list[Run] = field(default_factory=list)
    #: Runs that have become due, and collide with others or should start by a time.
    due: set[str] = field(default_factory=set)
    #: Runs that have ended or left their place: others of their keys may start.
    touched: list[Ready] = field(default_factory=list)
    #: Places in lanes: the first of a lane with a rate is to stand in line as well.
    parked: list[Ready] = field(default_factory=list)
    #: Runs that have ended: they do not count as waiting any more.
    over: list[Ready] = field(default_factory=list)
    #: Runs that are malformed in the table.
    unreadable: list[Run] = field(default_factory=list)

    def add(self, others: Hints) -> None:
        """Take over what another batch tells of the same pool."""
        self.ended |= others.ended
        self.new += others.new
        self.waiting += others.waiting
        self.gone += others.gone
        self.stopping += others.stopping
        self.due |= others.due
        self.touched += others.touched
        self.over += others.over


def hints_of(changes: Iterable[Change]) -> dict[str, Hints]:
    """Reduce a batch of changes to what each pool has to know."""
    hints: dict[str, Hints] = defaultdict(Hints)
    for change in changes:
        _collect(hints[change.pool], change.before, change.after)
    return dict(hints)


def _collect(hints: Hints, before: Run | None, after: Run | None) -> None:
    if after is None:
        return
    if after.unreadable:
        hints.unreadable.append(after)
    elif after.state.ended:
        # Also the attempt that it was waiting for: the slot may have been given to it already.
        hints.ended.add(Slot(after.uuid, after.next_attempt))
        hints.touched.append(Ready.of(after))
        hints.over.append(Ready.of(after))
        if before is not None and before.state is RunState.SCHEDULED:
            hints.gone.append(Ready.of(before))
    elif after.state is RunState.SCHEDULED and before is None and not after.attempt:
        hints.new.append(after)
    elif after.state is RunState.SCHEDULED:
        if after.attempt:
            hints.ended.add(Slot(after.uuid, after.attempt))
            hints.touched.append(Ready.of(after))
        place = Ready.of(after)
        hints.waiting.append(place)
        if before is not None and before.state is RunState.SCHEDULED:
            left = Ready.of(before)
            # One under the same name is replaced, not removed.
            hints.gone += [left] if left.place != place.place else []
    elif after.state is RunState.CANCELLING and (
        before is None or (before.state, before.stop) != (after.state, after.stop)
    ):
        hints.stopping.append(after)
