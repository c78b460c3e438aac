"""How is an end seen soon on a platform that reports none?

Polls: the young attempts of one pool on one platform are polled together, turn by turn. A turn is
taken by one conditional write, which names the next one, and only then its message is sent: of
messages that come twice one takes the turn, and the others are dropped. So the rate of polls
depends on what is stored, never on how many messages there are. A lost message costs what it always
did: the sweep polls what is silent, once a minute, and the next push begins another turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from push_dispatch.core.model import Holder, Run
from push_dispatch.core.polling import Turn, round_of
from push_dispatch.platforms.capabilities import capabilities_of
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Poll, Watch

__all__ = ["are_polled", "begin", "take_turn"]


def begin(ports: Ports, pool: str, platform: str) -> None:
    """See to it that an attempt, which the platform has just accepted, is polled soon. One read
    where others are being polled already. Idempotent. Raises Unavailable."""
    first = ports.pauses.first
    if not first or _is_heard(ports, platform):
        return
    now, turn = ports.clock(), ports.store.poll_turn(pool, platform)
    if not turn.is_coming(now, first * 1000):
        _pass_on(ports, pool, platform, turn, Turn(now + first * 1000, turn.before))


def are_polled(ports: Ports, pool: str, platform: str) -> bool:
    """Whether somebody polls the young attempts of the pool on this platform."""
    longest = ports.pauses.longest * 1000
    return ports.store.poll_turn(pool, platform).is_coming(ports.clock(), longest)


def take_turn(ports: Ports, message: Poll) -> dict[Watch, Run]:
    """Take the turn that a message is for, pass the next one on, and return whom to poll, with
    their runs; nobody if the turn was taken. Raises Unavailable."""
    pool, platform = message.pool, message.platform
    turn = ports.store.poll_turn(pool, platform)
    if turn.at != message.at:
        return {}
    # Messages are early where clocks differ.
    now = max(ports.clock(), turn.at)
    found = round_of(ports.store.ledger(pool).holders, turn, now, ports.pauses)
    if not _pass_on(ports, pool, platform, turn, found.following):
        return {}
    return {
        Watch(handle, run.id, run.attempt): run
        for run in _runs(ports, pool, found.due)
        if (handle := _handle_on(run, platform))
    }


def _pass_on(ports: Ports, pool: str, platform: str, turn: Turn, following: Turn) -> bool:
    """Whether it was us who named the following turn. Its message comes after the write: the other
    way round a crash would leave two."""
    if not ports.store.save_poll_turn(pool, platform, following, instead_of=turn):
        return False
    if following.at:
        delay = math.ceil((following.at - ports.clock()) / 1000)
        ports.messages.send(platform, [Poll(platform, (), pool=pool, at=following.at)], delay)
    return True


def _runs(ports: Ports, pool: str, due: Sequence[Holder]) -> Iterator[Run]:
    """Those that are in their attempts. One read each, which a push function is allowed."""
    for holder in due:
        run = ports.store.run(pool, holder.run)
        if run is not None and run.attempt == holder.attempt and not run.has_ended(run.attempt):
            yield run


def _handle_on(run: Run, platform: str) -> str | None:
    attempt = run.current
    return attempt.handle if attempt is not None and attempt.platform == platform else None


def _is_heard(ports: Ports, platform: str) -> bool:
    """Whether the platform reports ends, and reports them here."""
    return ports.hears(platform) and capabilities_of(ports.platform(platform)).reports_events
