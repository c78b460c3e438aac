"""What becomes of an attempt that is not started now?

Setback: it waits with its slot, goes to the next fallback, gives its slot back, or ends; the
error's class says which. A run keeps its slot for a bounded time while its platform has no room or
is throttling; the pool says for how long. Then it waits in line, under a reason that says so.
"""

from __future__ import annotations

import logging
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum, auto

from push_dispatch.core.bounds import short
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
from push_dispatch.core.events import Event, FallBack, GiveBack, Hold, Reject
from push_dispatch.core.model import Attempt, Pool, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.core.retry import pause, spread
from push_dispatch.engine.gate import Gate
from push_dispatch.engine.redactor import Redactor
from push_dispatch.engine.transition import transition
from push_dispatch.platforms.registry import entry_for
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push, Wake

__all__ = [
    "GIVE_UP_SECONDS",
    "LEASE_SECONDS",
    "Outcome",
    "Sending",
    "failed",
    "fall_back",
    "later",
    "unprepared",
    "wait",
]

log = logging.getLogger(__name__)

#: How long a claim is respected. Longer than a push may take, clients' time-outs included.
LEASE_SECONDS = 60
#: A push whose fate stays unknown for this long ends as CRASHED (`push_uncertain`), unless the
#: platform is sure that nothing was started.
GIVE_UP_SECONDS = 3600
#: Tries after which a push that fails by a fault in code, or before anything is sent, ends its run:
#: some four minutes.
_FAULTY_TRIES = 6
#: A fault in code meets each try again. What the network or a disk raises (OSError) may pass.
_FAULTS = (
    *(ArithmeticError, AttributeError, LookupError, NameError, NotImplementedError),
    *(TypeError, ValueError),
)


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


@dataclass(frozen=True, slots=True)
class Sending:
    """An attempt that was claimed, on its way to its platform."""

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

    @property
    def keeps_failing(self) -> bool:
        """Whether a fault in code has met enough tries: where nothing was started, it ends."""
        return bool(self.message.fault) and self.message.tries >= _FAULTY_TRIES

    def words(self, error: Exception) -> str:
        """What an error says, with its class or reason, without secrets."""
        kind = error.reason if isinstance(error, PushDispatchError) else type(error).__name__
        return short(f"{kind}: {self.redactor.masked(error)}")

    def timed(self, call: str) -> AbstractContextManager[None]:
        """Measure a call of its platform."""
        return self.ports.timed(self.attempt.platform, call)

    def advance(self, event: Event) -> Run:
        """Apply an event to the run."""
        return transition(self.ports, self.run.pool, self.run.uuid, event, run=self.run)

    def reject(self, reason: str, why: str) -> Outcome:
        """End the attempt, which was not started and never will be."""
        self.advance(Reject(self.message.attempt, reason, why))
        return Outcome.REJECTED


# -- before the claim -------------------------------------------------------------------------


def wait(ports: Ports, run: Run, message: Push, gate: Gate, milliseconds: int) -> Outcome:
    """Let another push find out when the platform takes runs again. Nothing was sent."""
    pool, reason = ports.store.pool(run.pool), gate.circuit.reason
    seconds = milliseconds / 1000 + spread(message.run)
    current = run.current
    claim = current.claim if current and current.number == message.attempt else ""
    if not _may_hold(ports, pool, message, seconds):
        refused = Throttled if reason == Reason.THROTTLED else NoCapacity
        text = "the platform refuses the pool's runs: this one was not sent"
        return _give_back(ports, run, message, claim, refused(text))
    if claim:
        why = run.message if run.reason == reason else None
        event = _hold(ports, message, claim, seconds, unsent=True, reason=reason, why=why)
        transition(ports, run.pool, run.uuid, event, run=run)
        message = replace(message, claim=claim, uncertain=False)
    return later(ports, message, seconds, failed=False)


def later(ports: Ports, message: Push, seconds: float, *, failed: bool = True) -> Outcome:
    """Send the message again after a pause; `failed` counts it as a try."""
    again = replace(message, tries=message.tries + failed)
    try:
        platform = entry_for(message.type).platform
        ports.messages.send(platform, [again], math.ceil(seconds))
    except NotFound as error:
        log.warning("push of %s cannot be sent again: %s", message.run, error.message)
    return Outcome.LATER


# -- before anything was sent -----------------------------------------------------------------


def unprepared(sending: Sending, error: Exception) -> Outcome:
    """The job could not be made: its template or a secret is wrong, or cannot be read now."""
    if sending.fresh and isinstance(error, (Rejected, Invalid)):
        return _rejected(sending, error)
    # What may live and cannot be looked up now keeps its slot for a while.
    message = sending.message
    _warn(sending, error)
    if message.tries >= _FAULTY_TRIES and (sending.fresh or sending.is_late):
        text = f"failed {message.tries} times: {sending.redactor.masked(error)}"
        return sending.reject(Reason.PUSH_FAILED, text)
    return _try_again(sending, pause(message.tries), sending.words(error))


def fall_back(sending: Sending, error: Throttled | NoCapacity) -> Outcome:
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
        fault="",
    )
    later(ports, moved, 0, failed=False)
    return Outcome.FELL_BACK


# -- after the platform was called --------------------------------------------------------------


def failed(sending: Sending, error: Exception) -> Outcome:
    """The platform did not start it, or has not said so. Only a refusal proves the first."""
    gate = sending.gate
    match error:
        case Rejected():
            return _rejected(sending, error)
        case Throttled() if not sending.fresh:
            # An earlier request may have started it, and is no nearer to being found.
            gate.failed()
            seconds = error.after_seconds or pause(sending.message.tries)
            return _try_again(sending, seconds, sending.words(error))
        case NoCapacity() if gate.following is not None and not sending.run.stop:
            gate.failed()
            return fall_back(sending, error)
        case Throttled() | NoCapacity():
            return _refused(sending, error)
        case PlatformError():
            gate.failed()  # a bug of ours says nothing about the platform
    return _uncertain(sending, error)


def _rejected(sending: Sending, error: PushDispatchError) -> Outcome:
    return sending.reject(error.reason, sending.redactor.masked(error))


def _refused(sending: Sending, error: Throttled | NoCapacity) -> Outcome:
    """This request has started nothing: the run keeps its slot for as long as its pool allows,
    then takes the next fallback, else gives the slot back."""
    ports, message, run, gate = sending.ports, sending.message, sending.run, sending.gate
    masked = type(error)(sending.redactor.masked(error), reason=error.reason)
    claim = sending.attempt.claim
    if sending.fresh and gate.blames(run):
        gate.failed()
        return _give_back(ports, run, message, claim, masked, blamed=True)
    seconds = gate.refused(error) / 1000
    if sending.fresh and _may_hold(ports, ports.store.pool(run.pool), message, seconds):
        reason = Reason.THROTTLED if isinstance(error, Throttled) else Reason.NO_ROOM
        return _try_again(sending, seconds, masked.message, reason=reason)
    if gate.following is not None and not run.stop:
        return fall_back(sending, error)
    ports.messages.wake([Wake(run.pool)], math.ceil(seconds))
    return _give_back(ports, run, message, claim, masked)


def _uncertain(sending: Sending, error: Exception) -> Outcome:
    """It may have been started: the same claim looks it up before it sends again."""
    _warn(sending, error)
    # Never on the word of a push that may have started it: this was the look, if there is one.
    if sending.is_late:
        reason = error.reason if isinstance(error, Uncertain) else Reason.PUSH_FAILED
        return sending.reject(reason, sending.redactor.masked(error))
    message = replace(sending.message, fault=_fault(sending, error))
    again = replace(sending, fresh=False, message=message)
    return _try_again(again, pause(message.tries), sending.words(error))


def _fault(sending: Sending, error: Exception) -> str:
    if not isinstance(error, _FAULTS) or isinstance(error, OSError):
        return ""
    return f"{type(error).__name__}: {sending.redactor.masked(error)}"


# -- details ----------------------------------------------------------------------------------


def _try_again(
    sending: Sending, seconds: float, why: str, *, reason: str = Reason.PUSH_RETRY
) -> Outcome:
    """The same claim goes on after a pause, and the run says why. With another `reason` it only
    waits, and has not failed."""
    ports, claim = sending.ports, sending.attempt.claim
    tries = sending.message.tries + (reason == Reason.PUSH_RETRY)
    again = replace(sending.message, claim=claim, uncertain=not sending.fresh, tries=tries)
    sending.advance(
        _hold(ports, again, claim, seconds, unsent=sending.fresh, reason=reason, why=why)
    )
    return later(ports, again, seconds, failed=False)


def _may_hold(ports: Ports, pool: Pool | None, message: Push, seconds: float) -> bool:
    """Whether the run may keep its slot for so much longer."""
    held = (ports.clock() - message.since) / 1000
    return pool is not None and held + seconds <= pool.hold_seconds


def _hold(
    ports: Ports,
    message: Push,
    claim: str,
    seconds: float,
    *,
    unsent: bool,
    reason: str,
    why: str | None,
) -> Hold:
    """Sleep under a claim. The lease covers the pause: an order that sleeps is not sent twice."""
    until = ports.clock() + int((seconds + LEASE_SECONDS) * 1000)
    next_try = until - LEASE_SECONDS * 1000
    return Hold(message.attempt, claim, until, unsent, reason, why, message.tries, next_try)


def _give_back(
    ports: Ports,
    run: Run,
    message: Push,
    claim: str,
    error: Throttled | NoCapacity,
    *,
    blamed: bool = False,
) -> Outcome:
    """Give the slot back. A run that was refused (it has a claim) ends if the pool gives up; one
    that was not sent has not been refused."""
    pool = ports.store.pool(run.pool) if claim else None
    patience = pool.give_up_seconds if pool else None
    give_up_at = None if patience is None else ports.clock() + patience * 1000
    event = GiveBack(
        message.attempt, error.reason, error.message, claim, blamed=blamed, give_up_at=give_up_at
    )
    transition(ports, run.pool, run.uuid, event, run=run)
    return Outcome.NO_CAPACITY


def _warn(sending: Sending, error: Exception) -> None:
    """Where it came from, too, but not by `exc_info`: a traceback ends with what errors say."""
    message = sending.message
    trace = sending.redactor.trace(error)
    log.warning("push of %s attempt %d failed\n%s", message.run, message.attempt, trace)
