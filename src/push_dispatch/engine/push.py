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
from push_dispatch.core.events import Claim, Event, FallBack, Pushed, Reject
from push_dispatch.core.model import Attempt, Run, RunState, Slot, parse_run_id
from push_dispatch.core.retry import pause, spread
from push_dispatch.engine.gate import LEASE_SECONDS, Gate, gate_of, give_back, hold, may_hold
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

#: A push whose fate stays unknown for this long ends as CRASHED (`push_uncertain`), unless the
#: platform is sure that nothing was started.
GIVE_UP_SECONDS = 3600
#: Tries after which a push that fails before anything is sent is given up: some four minutes.
_PREPARATIONS = 6


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
    message = message if message.since else replace(message, since=ports.clock())
    fresh = _standing(ports, run, message)
    if isinstance(fresh, Outcome):
        return fresh
    gate = gate_of(ports, pool, message)
    # Before the claim: who has to wait writes nothing.
    if fresh and run.state is not RunState.CANCELLING and (milliseconds := gate.wait()):
        return _wait(ports, run, message, gate, milliseconds)
    claimed = _claim(ports, run, message, fresh=fresh)
    if claimed is None:
        return _later(ports, message, 1)
    attempt = claimed.current
    assert attempt is not None  # noqa: S101 - claimed a line ago
    redactor = Redactor(ports.secrets)
    return _send(_Sending(ports, message, claimed, attempt, gate, fresh=fresh, redactor=redactor))


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
    since = attempt.in_doubt_since
    if since and ports.clock() - since > GIVE_UP_SECONDS * 1000:
        transition(ports, pool, uuid, Reject(message.attempt, "push_uncertain", why), run=run)


def _standing(ports: Ports, run: Run, message: Push) -> bool | Outcome:
    """Whether nothing was sent for the attempt so far, for certain; or why there is nothing to do
    now."""
    now, current = ports.clock(), run.current
    if current is None or current.number != message.attempt:
        return run.waits_for(message.attempt)
    if current.handle is not None or run.state is RunState.RUNNING:
        return Outcome.NOTHING_TO_DO
    if message.type != current.type:
        # It fell back, and the message to the next platform may have got lost.
        moved = replace(message, type=current.type, template=current.template)
        return _later(ports, replace(moved, fallback=len(current.tried)), 0)
    ours = message.claim == current.claim
    if not ours and now < current.lease_until:
        return _later(ports, message, (current.lease_until - now + 999) // 1000)
    return current.sent_at == 0 or (ours and not message.uncertain)


def _claim(ports: Ports, run: Run, message: Push, *, fresh: bool) -> Run | None:
    """The run in our hands; None if somebody else was faster."""
    current = run.current
    held = current.claim if current and current.number == message.attempt else ""
    claim = Claim(
        attempt=message.attempt,
        platform=entry_for(message.type).platform,
        type=message.type,
        template=message.template,
        # Our own claim is renewed too: delivered twice, this message starts nothing twice.
        claim=ports.new_id(),
        lease_until=ports.clock() + LEASE_SECONDS * 1000,
        instead_of=held,
        fresh=fresh,
    )
    run = transition(ports, run.pool, run.uuid, claim, run=run)
    return run if run.current is not None and run.current.claim == claim.claim else None


def _wait(ports: Ports, run: Run, message: Push, gate: Gate, milliseconds: int) -> Outcome:
    """Somebody else finds out when the platform takes runs again. Nothing was sent."""
    pool, reason = ports.store.pool(run.pool), gate.circuit.reason
    seconds = milliseconds / 1000 + spread(message.run)
    current = run.current
    claim = current.claim if current and current.number == message.attempt else ""
    if not may_hold(ports, pool, message, seconds):
        refused = Throttled if reason == "throttled" else NoCapacity
        text = "the platform refuses the pool's runs: this one was not sent"
        return _give_back(ports, run, message, claim, refused(text))
    if claim:
        event = hold(ports, message, claim, seconds, unsent=True, reason=reason)
        transition(ports, run.pool, run.uuid, event, run=run)
        message = replace(message, claim=claim, uncertain=False)
    return _later(ports, message, seconds, failed=False)


def _give_back(
    ports: Ports,
    run: Run,
    message: Push,
    claim: str,
    error: Throttled | NoCapacity,
    *,
    blamed: bool = False,
) -> Outcome:
    event = give_back(ports, message, claim, error, blamed=blamed)
    transition(ports, run.pool, run.uuid, event, run=run)
    return Outcome.NO_CAPACITY


# -- sending ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sending:
    ports: Ports
    message: Push
    run: Run
    attempt: Attempt
    gate: Gate
    #: Nothing was sent for this attempt so far, for certain.
    fresh: bool
    #: Reads the job's secrets; every word about the push goes through it.
    redactor: Redactor

    @property
    def is_late(self) -> bool:
        """Whether its fate has been unknown for so long that a last look settles it."""
        age = self.ports.clock() - self.attempt.in_doubt_since
        return self.message.uncertain and age > GIVE_UP_SECONDS * 1000

    def timed(self, call: str) -> AbstractContextManager[None]:
        return self.ports.timed(self.attempt.platform, call)

    def advance(self, event: Event) -> Run:
        return transition(self.ports, self.run.pool, self.run.uuid, event, run=self.run)


def _send(sending: _Sending) -> Outcome:
    ports, attempt, message, gate = sending.ports, sending.attempt, sending.message, sending.gate
    try:
        platform, job = _prepare(sending)
        if sending.fresh:
            gate.enter()
    except NoCapacity as error:
        return _fall_back(sending, error)
    except (Rejected, Invalid) as error:
        # What may live and cannot be looked up now keeps its slot for a while.
        return _rejected(sending, error) if sending.fresh else _not_prepared(sending, error)
    except Exception as error:  # noqa: BLE001 - a secret store that is down, or a bug of ours
        return _not_prepared(sending, error)
    try:
        handle = _start(platform, job, sending)
    except Rejected as error:
        return _rejected(sending, error)
    except (NoCapacity, Throttled) as error:
        return _refused(sending, error)
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
        allowed=lambda: _allowed_secrets(ports, run.pool),
    )
    sending.redactor.add(job.configuration["env"].get(TOKEN, ""))
    return platform, job


def _allowed_secrets(ports: Ports, name: str) -> tuple[str, ...]:
    """Read only for runs whose job variables name secrets: runs are not submitted by us alone."""
    pool = ports.store.pool(name)
    return pool.secrets if pool else ()


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
        # Sure by now, so the run has only waited: it gives the slot back, and another try follows.
        text = "the platform could not be reached for an hour: nothing was started"
        raise NoCapacity(text, reason="platform_unavailable")
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
    return _try_again(sending, pause(message.tries))


def _refused(sending: _Sending, error: Throttled | NoCapacity) -> Outcome:
    """This request has started nothing: the run keeps its slot for as long as its pool allows,
    then takes the next fallback, else gives the slot back."""
    ports, message, run = sending.ports, sending.message, sending.run
    if isinstance(error, Throttled) and not sending.fresh:
        # An earlier one may have, and is no nearer to being found.
        sending.gate.failed()
        return _try_again(sending, error.after_seconds or pause(message.tries))
    if isinstance(error, NoCapacity) and sending.gate.following is not None and not run.stop:
        sending.gate.failed()
        return _fall_back(sending, error)
    said = type(error)(sending.redactor.masked(error), reason=error.reason)
    if sending.fresh and sending.gate.blames(run):
        sending.gate.failed()
        return _give_back(ports, run, message, sending.attempt.claim, said, blamed=True)
    seconds = sending.gate.refused(error) / 1000
    if sending.fresh and may_hold(ports, ports.store.pool(run.pool), message, seconds):
        reason = "throttled" if isinstance(error, Throttled) else "no_room"
        return _try_again(sending, seconds, reason=reason, why=said.message)
    if sending.gate.following is not None and not run.stop:
        return _fall_back(sending, error)
    ports.messages.wake([Wake(run.pool)], math.ceil(seconds))
    return _give_back(ports, run, message, sending.attempt.claim, said)


def _fall_back(sending: _Sending, error: Throttled | NoCapacity) -> Outcome:
    """The next platform of the pool gets it, under the same slot."""
    ports, message, following = sending.ports, sending.message, sending.gate.following
    assert following is not None  # noqa: S101 - the callers have looked
    why = f"{message.type}: {error.reason} ({sending.redactor.masked(error)})"
    platform = entry_for(following.type).platform
    sending.advance(FallBack(message.attempt, platform, following.type, following.template, why))
    moved = replace(
        message,
        type=following.type,
        template=following.template,
        fallback=message.fallback + 1,
        tries=0,
        claim=sending.attempt.claim,
        uncertain=False,
        since=ports.clock(),
    )
    _later(ports, moved, 0, failed=False)
    return Outcome.FELL_BACK


def _uncertain(sending: _Sending, error: Exception) -> Outcome:
    """It may have been started: the same claim looks it up before it sends again."""
    message = sending.message
    _warn(sending, error)
    # Never on the word of a push that may have started it: this was the look, if there is one.
    if sending.is_late:
        reason = error.reason if isinstance(error, Uncertain) else "push_failed"
        sending.advance(Reject(message.attempt, reason, sending.redactor.masked(error)))
        return Outcome.REJECTED
    return _try_again(replace(sending, fresh=False), pause(message.tries))


def _warn(sending: _Sending, error: Exception) -> None:
    """Where it came from, too, but not by `exc_info`: a traceback ends with what errors say."""
    message = sending.message
    trace = sending.redactor.trace(error)
    log.warning("push of %s attempt %d failed\n%s", message.run, message.attempt, trace)


def _try_again(
    sending: _Sending, seconds: float, *, reason: str | None = None, why: str | None = None
) -> Outcome:
    """The same claim goes on after a pause. With a `reason` it only waits, and has not failed."""
    ports, message, claim = sending.ports, sending.message, sending.attempt.claim
    if reason is not None or seconds > LEASE_SECONDS:
        sending.advance(
            hold(ports, message, claim, seconds, unsent=sending.fresh, reason=reason, why=why)
        )
    again = replace(message, claim=claim, uncertain=not sending.fresh)
    return _later(ports, again, seconds, failed=reason is None)


def _later(ports: Ports, message: Push, seconds: float, *, failed: bool = True) -> Outcome:
    again = replace(message, tries=message.tries + failed)
    try:
        platform = entry_for(message.type).platform
        ports.messages.send(platform, [again], math.ceil(seconds))
    except NotFound as error:
        log.warning("push of %s cannot be sent again: %s", message.run, error.message)
    return Outcome.LATER
