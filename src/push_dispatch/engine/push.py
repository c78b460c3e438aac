"""How is an admitted run started on its platform, exactly once?

    claim      SCHEDULED -> PENDING, attempt n, lease        one conditional write
    send       the stored request under a deterministic name
    record     the handle                                    one conditional write

A crash between two steps is settled by the queue's redelivery: whoever finds a claimed run
without a handle waits for the lease to end, takes it over, and looks the attempt up by its name
before it sends anything.
"""

from __future__ import annotations

import logging
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum, auto

from push_dispatch.core.errors import (
    Invalid,
    NoCapacity,
    NotFound,
    PlatformError,
    PushDispatchError,
    Rejected,
    Throttled,
    Uncertain,
)
from push_dispatch.core.lifecycle import Claim, Event, FallBack, GiveBack, Pushed, Reject
from push_dispatch.core.model import Attempt, Run, RunState, Slot, parse_run_id
from push_dispatch.engine.gate import gate_of, next_fallback
from push_dispatch.engine.job import job_for
from push_dispatch.engine.redactor import Redactor
from push_dispatch.engine.stop import stop_attempt
from push_dispatch.engine.transition import readable, transition
from push_dispatch.platforms.base import Job, Platform
from push_dispatch.platforms.capabilities import capabilities_of, finder
from push_dispatch.platforms.registry import entry_for
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push, Wake
from push_dispatch.ports.reporter import TOKEN

__all__ = ["LEASE_SECONDS", "Outcome", "give_up", "push"]

log = logging.getLogger(__name__)

#: How long a claim is respected. Longer than a push may take, clients' time-outs included.
LEASE_SECONDS = 60
#: A push whose fate stays unknown for this long ends as CRASHED (`push_uncertain`).
GIVE_UP_SECONDS = 3600
#: Wait before the same attempt is tried again, by number of tries.
_PAUSES = (2, 5, 15, 30, 60, 120, 300)
#: Tries after which a push that fails before anything is sent is given up: some four minutes.
_PREPARATIONS = 6
#: Wait before a run that found no room is due again.
_NO_CAPACITY_DELAY = 60


class Outcome(Enum):
    """What became of a push message. It is done in any case: nothing is left to redelivery but
    a crash."""

    PUSHED = auto()
    #: The run was started before, is over, or somebody else is at it.
    NOTHING_TO_DO = auto()
    #: The same attempt is sent again later, under the same slot.
    LATER = auto()
    #: The next platform of the pool gets it, under the same slot.
    FELL_BACK = auto()
    #: The slot goes back; the run waits for another attempt.
    NO_CAPACITY = auto()
    #: It will never be started.
    REJECTED = auto()


def push(ports: Ports, message: Push) -> Outcome:
    """Start the attempt in `message` unless that has been done. Idempotent.

    Raises Unavailable if the store or the queue cannot be reached: deliver the message again.
    """
    pool, uuid = parse_run_id(message.run)
    run = readable(ports, pool, uuid)
    if run is None or run.has_ended(message.attempt):
        # Cancelled between admission and push, perhaps after the stream told of its end: the slot
        # may have been given out since, so dispatch must hear of the end once more.
        ports.messages.wake([Wake(pool, (Slot(uuid, message.attempt),))])
        return Outcome.NOTHING_TO_DO
    claimed = _claim(ports, run, message)
    if isinstance(claimed, Outcome):
        return claimed
    run, fresh = claimed
    attempt = run.current
    assert attempt is not None  # noqa: S101 - claimed a line ago
    redactor = Redactor(ports.secrets)
    return _send(_Sending(ports, message, run, attempt, fresh=fresh, redactor=redactor))


def give_up(ports: Ports, message: Push, why: str) -> None:
    """End the run of a message that cannot be handled, if nothing was sent for it: `push_failed`.

    What somebody has claimed may live. The sweep sends it again, and only if its fate is unknown
    an hour later it ends as `push_uncertain`. Idempotent. Raises NotFound (`run_not_found`).
    """
    pool, uuid = parse_run_id(message.run)
    reject = Reject(message.attempt, "push_failed", why, unless_claimed=True)
    run = transition(ports, pool, uuid, reject)
    attempt = run.current
    if attempt is None or attempt.number != message.attempt or attempt.handle is not None:
        return
    if ports.clock() - attempt.claimed_at > GIVE_UP_SECONDS * 1000:
        transition(ports, pool, uuid, Reject(message.attempt, "push_uncertain", why), run=run)


def _claim(ports: Ports, run: Run, message: Push) -> tuple[Run, bool] | Outcome:
    """The run in our hands and whether nothing was sent for it yet; or why that is all."""
    now = ports.clock()
    current = run.current
    held, fresh = "", run.waits_for(message.attempt)
    if current and current.number == message.attempt:
        if current.handle is not None or run.state is RunState.RUNNING:
            return Outcome.NOTHING_TO_DO
        if message.type != current.type:
            # It fell back, and the message to the next platform may have got lost.
            moved = replace(message, type=current.type, template=current.template)
            return _later(ports, replace(moved, fallback=len(current.tried)), 0)
        ours = message.claim == current.claim
        if not ours and now < current.lease_until:
            left = (current.lease_until - now + 999) // 1000
            return _later(ports, message, left)
        # Our own claim is renewed too: delivered twice, this message starts nothing twice.
        held, fresh = current.claim, ours and not message.uncertain
    claim = Claim(
        attempt=message.attempt,
        platform=entry_for(message.type).platform,
        type=message.type,
        template=message.template,
        claim=ports.new_id(),
        lease_until=now + LEASE_SECONDS * 1000,
        instead_of=held,
    )
    run = transition(ports, run.pool, run.uuid, claim, run=run)
    taken = run.current is not None and run.current.claim == claim.claim
    return (run, fresh) if taken else _later(ports, message, 1)


@dataclass(frozen=True, slots=True)
class _Sending:
    ports: Ports
    message: Push
    run: Run
    attempt: Attempt
    #: Nothing was sent for this attempt so far, for certain.
    fresh: bool
    #: Reads the job's secrets; every word about the push goes through it.
    redactor: Redactor

    @property
    def is_late(self) -> bool:
        """Whether its fate has been unknown for so long that a last look settles it."""
        age = self.ports.clock() - self.attempt.claimed_at
        return self.message.uncertain and age > GIVE_UP_SECONDS * 1000

    def timed(self, call: str) -> AbstractContextManager[None]:
        return self.ports.timed(self.attempt.platform, call)

    def advance(self, event: Event) -> Run:
        return transition(self.ports, self.run.pool, self.run.uuid, event, run=self.run)


def _send(sending: _Sending) -> Outcome:
    ports, attempt, message = sending.ports, sending.attempt, sending.message
    try:
        platform, job = _prepare(sending)
        gate = gate_of(ports, sending.run.pool, attempt.platform, message)
        if sending.fresh:
            gate.enter()
    except NoCapacity as error:
        return _no_capacity(sending, error)
    except Throttled as error:
        return _throttled(sending, error)
    except (Rejected, Invalid) as error:
        # What may live and cannot be looked up now keeps its slot for a while.
        return _rejected(sending, error) if sending.fresh else _not_prepared(sending, error)
    except Exception as error:  # noqa: BLE001 - a secret store that is down, or a bug of ours
        return _not_prepared(sending, error)
    try:
        handle = _start(platform, job, sending)
    except Rejected as error:
        return _rejected(sending, error)
    except NoCapacity as error:
        gate.failed()
        return _no_capacity(sending, error)
    except Throttled as error:
        gate.failed()
        return _throttled(sending, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it may have started something
        if isinstance(error, PlatformError):
            gate.failed()  # a bug of ours says nothing about the platform
        return _uncertain(sending, error)
    if handle is None:
        sending.advance(Reject(message.attempt, "cancelled_by_user", "stopped before the start"))
        return Outcome.NOTHING_TO_DO
    after = sending.advance(Pushed(message.attempt, handle))
    gate.succeeded()
    if after.state is RunState.CANCELLING and after.attempt == attempt.number:
        # Somebody cancelled while the request was under way: nobody else knows the handle.
        stop_attempt(ports, after)
    return Outcome.PUSHED


def _prepare(sending: _Sending) -> tuple[Platform, Job]:
    """What is sent, and to whom. What fails here has started nothing."""
    ports, attempt, run = sending.ports, sending.attempt, sending.run
    platform = ports.platform(attempt.platform)
    template = ports.store.template(run.pool, attempt.template)
    job = job_for(
        run,
        attempt,
        template,
        sending.redactor,
        passes_secrets=capabilities_of(platform).passes_secrets,
        env=ports.template_env,
        reporter=ports.reporter,
    )
    sending.redactor.add(job.configuration["env"].get(TOKEN, ""))
    return platform, job


def _start(platform: Platform, job: Job, sending: _Sending) -> str | None:
    """The handle; None if the run was cancelled and is sure not to have been started."""
    finds = finder(platform)
    if not sending.fresh and finds:
        with sending.timed("find"):
            found = finds.find(job)
        if found is not None:
            return found
    if sending.run.state is RunState.CANCELLING and (sending.fresh or finds):
        return None
    if sending.is_late and finds:
        raise Rejected("given up after an hour: nothing was started", reason="push_failed")
    with sending.timed("push"):
        return platform.push(job)


def _rejected(sending: _Sending, error: PushDispatchError) -> Outcome:
    why = sending.redactor.masked(error)
    sending.advance(Reject(sending.message.attempt, error.reason, why))
    return Outcome.REJECTED


def _not_prepared(sending: _Sending, error: Exception) -> Outcome:
    message = sending.message
    _warn(sending, error)
    if message.tries >= _PREPARATIONS and (sending.fresh or sending.is_late):
        text = f"given up after {message.tries} tries: {sending.redactor.masked(error)}"
        sending.advance(Reject(message.attempt, "push_failed", text))
        return Outcome.REJECTED
    claim, pause = sending.attempt.claim, _pause(message.tries)
    return _later(sending.ports, message, pause, claim=claim, uncertain=not sending.fresh)


def _throttled(sending: _Sending, error: Throttled) -> Outcome:
    """Nothing was started: the same claim may go on at once when its time has come."""
    message = sending.message
    pause = error.after_seconds or _pause(message.tries)
    claim = sending.attempt.claim
    return _later(sending.ports, message, pause, claim=claim, uncertain=not sending.fresh)


def _no_capacity(sending: _Sending, error: NoCapacity) -> Outcome:
    """The next fallback under the same slot, else the slot goes back."""
    ports, message, run = sending.ports, sending.message, sending.run
    following = next_fallback(ports.store.pool(run.pool), message)
    said = sending.redactor.masked(error)
    if following is None or run.stop is not None:
        sending.advance(GiveBack(message.attempt, error.reason, said, _NO_CAPACITY_DELAY))
        return Outcome.NO_CAPACITY
    why = f"{message.type}: {error.reason} ({said})"
    platform = entry_for(following.type).platform
    sending.advance(FallBack(message.attempt, platform, following.type, following.template, why))
    _later(
        ports,
        replace(
            message,
            type=following.type,
            template=following.template,
            fallback=message.fallback + 1,
            tries=-1,
            claim=sending.attempt.claim,
            uncertain=False,
        ),
        0,
    )
    return Outcome.FELL_BACK


def _uncertain(sending: _Sending, error: Exception) -> Outcome:
    """It may have been started: the same claim looks it up before it sends again."""
    ports, message, attempt = sending.ports, sending.message, sending.attempt
    _warn(sending, error)
    # Never on the word of a push that may have started it: this was the look, if there is one.
    if sending.is_late:
        reason = error.reason if isinstance(error, Uncertain) else "push_failed"
        sending.advance(Reject(message.attempt, reason, sending.redactor.masked(error)))
        return Outcome.REJECTED
    return _later(ports, message, _pause(message.tries), claim=attempt.claim, uncertain=True)


def _warn(sending: _Sending, error: Exception) -> None:
    """Where it came from, too, but not by `exc_info`: a traceback ends with what errors say."""
    message = sending.message
    trace = sending.redactor.trace(error)
    log.warning("push of %s attempt %d failed\n%s", message.run, message.attempt, trace)


def _later(
    ports: Ports,
    message: Push,
    seconds: float,
    *,
    claim: str | None = None,
    uncertain: bool | None = None,
) -> Outcome:
    again = replace(
        message,
        tries=message.tries + 1,
        claim=message.claim if claim is None else claim,
        uncertain=message.uncertain if uncertain is None else uncertain,
    )
    try:
        platform = entry_for(message.type).platform
        ports.messages.send(platform, [again], math.ceil(seconds))
    except NotFound as error:
        log.warning("push of %s cannot be sent again: %s", message.run, error.message)
    return Outcome.LATER


def _pause(tries: int) -> int:
    return _PAUSES[min(tries, len(_PAUSES) - 1)]
