"""How is an admitted run started on its platform, exactly once?

    1  receive    the run, unless it has ended
    2  recall     what was sent for this attempt so far
    3  knock      at the gate: a platform that refuses is called by one push a minute
    4  claim      SCHEDULED -> PENDING, attempt n, lease          one conditional write
    5  prepare    template, job variables, secrets: the request under a deterministic name
    6  enter      the gate, unless the next fallback should take it
    7  start      on the platform; look it up first if it may have been started
    8  record     the handle                                      one conditional write

The first push of a run's first attempt has nothing to recall: it claims the run without reading it,
and begins with the first step only if that is refused.

Each step returns the next one, or the outcome; `setback` has what becomes of a push that does not
get through. A crash between two steps is settled by the queue's redelivery: whoever finds a claimed
run without a handle waits for the lease to end, takes it over, and looks the attempt up by its name
before it sends anything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from push_dispatch.core.errors import Misconfigured, NoCapacity, Rejected
from push_dispatch.core.events import Claim, Pushed, Reject
from push_dispatch.core.model import Attempt, Ready, Run, RunState, Slot, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.gate import Gate, gate_of
from push_dispatch.engine.job import job_for
from push_dispatch.engine.polls import begin
from push_dispatch.engine.redactor import Redactor
from push_dispatch.engine.setback import (
    GIVE_UP_SECONDS,
    LEASE_SECONDS,
    Outcome,
    Sending,
    failed,
    fall_back,
    later,
    unprepared,
    wait,
)
from push_dispatch.engine.stop import stop_attempt
from push_dispatch.engine.transition import end_unreadable, readable, transition
from push_dispatch.platforms.base import Job, Platform
from push_dispatch.platforms.capabilities import capabilities_of, finder
from push_dispatch.platforms.registry import entry_for
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push, Wake
from push_dispatch.ports.reporter import TOKEN

__all__ = ["LEASE_SECONDS", "Outcome", "give_up", "push"]

_Step = Callable[[], "_Step | Outcome"]


def push(ports: Ports, message: Push) -> Outcome:
    """Start the attempt in `message` unless that has been done. Idempotent.

    Raises Unavailable if the store or the queue cannot be reached: deliver the message again.
    """
    step: _Step | Outcome = partial(_begin, ports, message)
    while not isinstance(step, Outcome):
        step = step()
    return step


def _begin(ports: Ports, message: Push) -> _Step | Outcome:
    """Claim it at once, if this is the first push of the run and its platform refuses nothing."""
    message = message if message.since else replace(message, since=ports.clock())
    if message.attempt > 1 or message.claim or message.tries:
        return partial(_receive, ports, message)
    pool, uuid = parse_run_id(message.run)
    gate = gate_of(ports, pool, message)
    if gate.may_wait:
        return partial(_receive, ports, message, gate)
    claim, run = _claim_of(ports, message), None
    with suppress(Misconfigured):  # Without the right to update an item it is read, and put.
        run = ports.store.claim_run(pool, uuid, claim, ports.clock())
    attempt = run.current if run else None
    if run is None or attempt is None or attempt.claim != claim.claim:
        return partial(_receive, ports, message, gate, run)
    # What is malformed is stopped here: its attempt is ours, and was not sent.
    return _sent_by(ports, end_unreadable(ports, run), attempt, message, gate, fresh=True)


def _receive(
    ports: Ports, message: Push, gate: Gate | None = None, run: Run | None = None
) -> _Step | Outcome:
    """`run` is the run as it was when it could not be claimed."""
    pool, uuid = parse_run_id(message.run)
    run = readable(ports, pool, uuid) if run is None else end_unreadable(ports, run)
    if run is None or run.has_ended(message.attempt):
        # Cancelled between admission and push, perhaps after the stream told of its end: the slot
        # may have been given out since, so dispatch must hear of the end once more. If the change
        # is lost, this frees the slot by which the sweep would find the retry: line it up first.
        if run and run.state is RunState.SCHEDULED:
            ports.store.enqueue(pool, [Ready.of(run)], ports.clock())
        ports.messages.wake([Wake(pool, (Slot(uuid, message.attempt),))])
        return Outcome.NOTHING_TO_DO
    return partial(_recall, ports, run, message, gate)


def _recall(ports: Ports, run: Run, message: Push, gate: Gate | None) -> _Step | Outcome:
    """`fresh`: nothing was sent for the attempt so far, for certain."""
    now, current = ports.clock(), run.current
    if current is None or current.number != message.attempt:
        fresh = run.waits_for(message.attempt)
        return partial(_knock, ports, run, message, gate, fresh=fresh)
    if current.handle is not None or run.state is RunState.RUNNING:
        return Outcome.NOTHING_TO_DO
    if message.type != current.type:
        # It fell back, and the message to the next platform may have got lost.
        moved = replace(message, type=current.type, template=current.template)
        return later(ports, replace(moved, fallback=len(current.tried)), 0)
    ours = message.claim == current.claim
    if not ours and now < current.lease_until:
        if message.tries:
            # It has waited for a lease before: whoever has this one renews it, and a copy that
            # waits for the next would wait beside them until the platform has room. If they die,
            # their message comes again, and if that is lost, the sweep sends another.
            return Outcome.NOTHING_TO_DO
        return later(ports, message, (current.lease_until - now + 999) // 1000)
    fresh = current.sent_at == 0 or (ours and not message.uncertain)
    return partial(_knock, ports, run, message, gate, fresh=fresh)


def _knock(
    ports: Ports, run: Run, message: Push, gate: Gate | None, *, fresh: bool
) -> _Step | Outcome:
    """Before the claim: who has to wait writes nothing."""
    gate = gate or gate_of(ports, run.pool, message)
    if fresh and run.state is not RunState.CANCELLING and (milliseconds := gate.wait()):
        return wait(ports, run, message, gate, milliseconds)
    return partial(_claim, ports, run, message, gate, fresh=fresh)


def _claim(ports: Ports, run: Run, message: Push, gate: Gate, *, fresh: bool) -> _Step | Outcome:
    """Take the run into our hands, unless somebody else is faster."""
    current = run.current
    held = current.claim if current and current.number == message.attempt else ""
    claim = _claim_of(ports, message, instead_of=held, fresh=fresh)
    run = transition(ports, run.pool, run.uuid, claim, run=run)
    attempt = run.current
    if attempt is None or attempt.claim != claim.claim:
        return later(ports, message, 1)
    return _sent_by(ports, run, attempt, message, gate, fresh=fresh)


def _claim_of(ports: Ports, message: Push, *, instead_of: str = "", fresh: bool = False) -> Claim:
    return Claim(
        attempt=message.attempt,
        platform=entry_for(message.type).platform,
        type=message.type,
        template=message.template,
        # Our own claim is renewed too: delivered twice, this message starts nothing twice.
        claim=ports.new_id(),
        lease_until=ports.clock() + LEASE_SECONDS * 1000,
        instead_of=instead_of,
        fresh=fresh,
    )


def _sent_by(
    ports: Ports, run: Run, attempt: Attempt, message: Push, gate: Gate, *, fresh: bool
) -> _Step:
    """Whoever has the claim goes on."""
    redactor = Redactor(ports.secrets)
    sending = Sending(ports, message, run, attempt, gate, fresh=fresh, redactor=redactor)
    return partial(_prepare, sending)


def _prepare(sending: Sending) -> _Step | Outcome:
    """What is sent, and to whom. What fails here has started nothing."""
    try:
        platform = sending.ports.platform(sending.attempt.platform)
        job = _job(sending, platform)
    except Exception as error:  # noqa: BLE001 - a secret store that is down, or a bug of ours
        return unprepared(sending, error)
    return partial(_enter, sending, platform, job)


def _enter(sending: Sending, platform: Platform, job: Job) -> _Step | Outcome:
    if sending.fresh:
        try:
            sending.gate.enter()
        except NoCapacity as error:
            return fall_back(sending, error)
    return partial(_start, sending, platform, job)


def _start(sending: Sending, platform: Platform, job: Job) -> _Step | Outcome:
    try:
        handle = _handle(sending, platform, job)
    except Exception as error:  # noqa: BLE001 - whatever it is, it may have started something
        return failed(sending, error)
    if handle is None:
        stopped = Reject(
            sending.message.attempt, Reason.CANCELLED_BY_USER, "stopped before the start"
        )
        sending.advance(stopped)
        return Outcome.NOTHING_TO_DO
    return partial(_record, sending, handle, job)


def _record(sending: Sending, handle: str, job: Job) -> Outcome:
    after = sending.advance(Pushed(sending.message.attempt, handle))
    sending.gate.succeeded()
    if after.state is RunState.CANCELLING and after.attempt == sending.attempt.number:
        # Somebody cancelled while the request was under way: nobody else knows the handle.
        stop_attempt(sending.ports, after)
    if not job.configuration["env"].get(TOKEN):
        # After the handle: whoever polls finds it. One that reports its end needs no polls.
        begin(sending.ports, after.pool, sending.attempt.platform)
    return Outcome.PUSHED


# -- details ----------------------------------------------------------------------------------


def _job(sending: Sending, platform: Platform) -> Job:
    ports, attempt, run = sending.ports, sending.attempt, sending.run
    can = capabilities_of(platform)
    job = job_for(
        run,
        attempt,
        ports.store.template(run.pool, attempt.template),
        sending.redactor,
        passes_secrets=can.passes_secrets,
        own_secrets=can.own_secrets,
        env=ports.template_env,
        reporter=ports.reporter,
        allowed=lambda: _allowed_secrets(ports, run.pool),
        traces=ports.traces,
    )
    sending.redactor.add(job.configuration["env"].get(TOKEN, ""))
    return job


def _allowed_secrets(ports: Ports, name: str) -> tuple[str, ...]:
    """Read only for runs whose job variables name secrets: runs are not submitted by us alone."""
    pool = ports.store.pool(name)
    return pool.secrets if pool else ()


def _handle(sending: Sending, platform: Platform, job: Job) -> str | None:
    """Its handle; None if the run was cancelled and is sure not to have been started."""
    finds = finder(platform)
    if not sending.fresh and finds:
        with sending.timed("find"):
            found = finds.find(job)
        if found is not None:
            return found
    if sending.run.state is RunState.CANCELLING and (sending.fresh or finds):
        return None
    if sending.keeps_failing and finds:
        raise Rejected(sending.message.fault, reason=Reason.PUSH_FAILED)
    if sending.is_late and finds:
        # Sure by now, so the run has only waited: it gives the slot back, and another try follows.
        text = "the platform could not be reached for an hour: nothing was started"
        raise NoCapacity(text, reason=Reason.PLATFORM_UNAVAILABLE)
    with sending.timed("push"):
        return platform.push(job)


# -- a message that cannot be handled -----------------------------------------------------------


def give_up(ports: Ports, message: Push, why: str) -> None:
    """End the run of a message that cannot be handled, if nothing was sent for it: `push_failed`.

    What somebody has claimed may live. The sweep sends it again, and only if its fate is unknown
    an hour later it ends as `push_uncertain`. Idempotent. Raises NotFound (`run_not_found`).
    """
    pool, uuid = parse_run_id(message.run)
    reject = Reject(message.attempt, Reason.PUSH_FAILED, why, unless_claimed=True)
    run = transition(ports, pool, uuid, reject)
    attempt = run.current
    if attempt is None or attempt.number != message.attempt or attempt.handle is not None:
        return
    since = attempt.in_doubt_since
    if since and ports.clock() - since > GIVE_UP_SECONDS * 1000:
        transition(ports, pool, uuid, Reject(message.attempt, Reason.PUSH_UNCERTAIN, why), run=run)
