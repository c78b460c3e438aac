"""What does an observation of an attempt do to its run?

Platform events, the reporter and the sweep's polling all end here: one conditional write, and one
read before it unless this process has just written the run. The stream carries an end to dispatch,
whose next commit gives the slot to the next run.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from push_dispatch.core.bounds import LAST_TIME, short
from push_dispatch.core.errors import NotFound, PlatformError
from push_dispatch.core.events import Observe, TimeOut
from push_dispatch.core.model import Observation, Run, Status, parse_run_id
from push_dispatch.engine.overtime import overtime
from push_dispatch.engine.polls import take_turn
from push_dispatch.engine.transition import transition
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.capabilities import capabilities_of, cleaner, log_reader
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Poll, Watch

__all__ = ["finish", "poll"]

log = logging.getLogger(__name__)

_ALIVE = (Status.STARTING, Status.RUNNING)
#: Of a log that its platform deletes; a kilobyte costs a write unit, once.
KEPT_LOG_BYTES = 32_000
#: Characters of one line, so that at least one fits.
_LONGEST = 7_999
#: Wait for infrastructure whose process has ended, doubled each time up to the longest.
_AGAIN_SECONDS = 60
_LONGEST_AGAIN_SECONDS = 900


def finish(
    ports: Ports, observation: Observation, *, clean_up: bool = True, run: Run | None = None
) -> Run | None:
    """Apply what was seen and return the run; None if there is no such run. Idempotent; late,
    repeated and reordered observations change nothing, and neither do those of something else that
    carries the attempt's name. Without `clean_up` what the platform keeps of an ended attempt is
    left to a later look. `run` is the run as last seen by the caller, which saves a read."""
    observation = _sound(observation)
    try:
        run = _observed(ports, observation, run)
    except NotFound:
        log.warning("an observation of the unknown run %s", observation.run_id)
        return None
    if observation.status is Status.ENDED and clean_up:
        _clean_up(ports, run, observation)
    return run


def _observed(ports: Ports, seen: Observation, run: Run | None) -> Run:
    pool, uuid = parse_run_id(seen.run_id)
    event, known = Observe(seen), run or ports.recent.get(seen.run_id, seen.attempt, ports.clock())
    after = transition(ports, pool, uuid, event, run=known)
    if after is known and run is None:
        # No news to a run that may be out of date.
        after = transition(ports, pool, uuid, event)
    ports.recent.keep(after, ports.clock())
    return after


def _sound(seen: Observation) -> Observation:
    """What was seen, as the table and every view can keep it: a time that a clock cannot show is
    none, and a platform's words are short."""
    message = None if seen.message is None else short(seen.message)
    started_at, ended_at = _moment(seen.started_at), _moment(seen.ended_at)
    return replace(seen, started_at=started_at, ended_at=ended_at, message=message)


def _moment(at: int | None) -> int | None:
    return at if at is not None and 0 < at <= LAST_TIME else None


def poll(ports: Ports, message: Poll) -> list[Run]:
    """Ask the platform about attempts of which nothing was heard, and apply what it says. Those
    that are still alive after their time are stopped."""
    known = take_turn(ports, message) if message.pool else dict.fromkeys(message.attempts)
    if not known:
        return []
    watched = [Watched(w.handle, w.run, w.attempt) for w in known]
    platform = ports.platform(message.platform)
    with ports.timed(message.platform, "observe"):
        seen = list(platform.observe(watched))
    at = {w.run: run for w, run in known.items()}
    runs = [
        (observation, _apply(ports, observation, at.get(observation.run_id)))
        for observation in seen
    ]
    _poll_again(ports, message, [o for o, run in runs if run and _is_ending(run, o)])
    return [run for _, run in runs if run]


def _apply(ports: Ports, seen: Observation, known: Run | None) -> Run | None:
    """Only now it is known that it has not ended in time: the order to stop it comes after the
    poll, never before."""
    run = finish(ports, seen, run=known)
    if run is None or run.attempt != seen.attempt or seen.status not in _ALIVE:
        return run
    if overtime(ports, run) is None:
        return run
    return transition(ports, run.pool, run.uuid, TimeOut(seen.attempt), run=run)


def _is_ending(run: Run, seen: Observation) -> bool:
    """Whether the attempt has reported its end, and its infrastructure has not ended yet."""
    return run.has_ended(seen.attempt) and seen.status in _ALIVE


def _poll_again(ports: Ports, message: Poll, ending: Sequence[Observation]) -> None:
    """There is still something to clean up."""
    wanted = {(seen.run_id, seen.attempt) for seen in ending}
    again = tuple(watch for watch in message.attempts if (watch.run, watch.attempt) in wanted)
    if again:
        later = replace(message, attempts=again, tries=message.tries + 1)
        pause = min(_LONGEST_AGAIN_SECONDS, _AGAIN_SECONDS << min(message.tries, 8))
        ports.messages.send(message.platform, [later], pause)


def _clean_up(ports: Ports, run: Run, observation: Observation) -> None:
    """Leftovers count against the platform's quotas. Only after the end is stored: until then
    they are the proof of it. If it fails, the sweep's look at leftovers comes later."""
    attempt = next((a for a in run.attempts if a.number == observation.attempt), None)
    if attempt is None or attempt.handle is None:
        return
    try:
        platform = ports.platform(attempt.platform)
        if cleans := cleaner(platform):
            if (left := attempt.lease_until - ports.clock()) > 0 and not attempt.pushed_at:
                # A push is still looking for it: what it does not find it would start again.
                watch = Watch(attempt.handle, run.id, attempt.number)
                later = Poll(attempt.platform, (watch,))
                ports.messages.send(attempt.platform, [later], math.ceil(left / 1000))
                return
            logs = log_reader(platform)
            if logs and capabilities_of(platform).logs_go_too:
                _keep_log(ports, run, attempt.number, logs.logs(attempt.handle))
            cleans.clean_up(attempt.handle)
    except PlatformError as error:
        log.warning("cleaning up after %s: %s", run.id, error.message)


def _keep_log(ports: Ports, run: Run, attempt: int, lines: Iterable[str]) -> None:
    """The last lines that fit. Told of the same end twice, what was kept the first time stays:
    the platform may have nothing left."""
    kept: deque[str] = deque()
    size = 0
    for whole in lines:
        line = whole[:_LONGEST]
        kept.append(line)
        size += len(line.encode()) + 1
        while size > KEPT_LOG_BYTES:
            size -= len(kept.popleft().encode()) + 1
    if kept:
        ports.store.keep_log(run.pool, run.instance, attempt, "\n".join(kept))
