"""What does a job say about itself, and may it run?

The other end of `push_dispatch.engine.reporter`. The first copy of an attempt to claim it runs;
every other one is refused. An end that the job reports is as good as one that the platform reports,
and known a second after it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

from push_dispatch.core.errors import Invalid, NotFound, Refused
from push_dispatch.core.model import Observation, Run, RunState, Status, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.finish import finish
from push_dispatch.engine.transition import readable
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Poll, Watch
from push_dispatch.ports.reporter import token_for

__all__ = ["Answer", "Report", "receive"]

#: After this the platform is asked for what it keeps of the attempt, to clean it up.
_CLEAN_UP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Report:
    """What an attempt says: that it is about to run, that it runs, that it has ended."""

    run: str
    attempt: int
    what: Literal["claim", "beat", "end"]
    #: Which copy of the attempt says it.
    by: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether it may run, and whether it is to stop."""

    go: bool
    stop: bool


def receive(ports: Ports, sent: Report, token: str) -> Answer:
    """Take a report. Idempotent: sent again, it has the same answer. Raises Refused
    (`access_denied`) for a token of anything else, NotFound (`run_not_found`), Invalid."""
    reporter = ports.reporter
    if reporter is None:
        raise Refused("this deployment has no reporter", reason=Reason.PLATFORM_NOT_CONFIGURED)
    wanted = token_for(reporter.key(), sent.run, sent.attempt)
    if not hmac.compare_digest(wanted.encode(), token.encode()):
        raise Refused("the token is not that of this attempt", reason=Reason.ACCESS_DENIED)
    pool, uuid = parse_run_id(sent.run)
    run = readable(ports, pool, uuid)
    if run is None:
        raise NotFound(f"there is no run {sent.run}", reason=Reason.RUN_NOT_FOUND)
    match sent.what:
        case "claim":
            return _claim(ports, run, sent)
        case "beat":
            return Answer(go=True, stop=_is_to_stop(run, sent))
        case "end":
            return _end(ports, run, sent)


def _claim(ports: Ports, run: Run, sent: Report) -> Answer:
    if run.has_ended(sent.attempt) or _is_to_stop(run, sent):
        return Answer(go=False, stop=True)
    if not ports.store.take_attempt(run.pool, run.instance, sent.attempt, sent.by):
        return Answer(go=False, stop=False)
    seen = Observation(run.id, sent.attempt, Status.RUNNING, started_at=ports.clock())
    after = finish(ports, seen, run=run)
    return Answer(go=True, stop=after is None or _is_to_stop(after, sent))


def _end(ports: Ports, run: Run, sent: Report) -> Answer:
    """Only the copy that runs can tell the end. What the platform keeps of the attempt still exists
    at this moment, and is cleaned up later."""
    if sent.exit_code is None:
        raise Invalid("an end needs an exit_code")
    if not ports.store.take_attempt(run.pool, run.instance, sent.attempt, sent.by):
        return Answer(go=False, stop=False)
    now = ports.clock()
    seen = Observation(run.id, sent.attempt, Status.ENDED, exit_code=sent.exit_code, ended_at=now)
    after = finish(ports, seen, clean_up=False, run=run)
    attempt = next((a for a in (after or run).attempts if a.number == sent.attempt), None)
    if attempt is not None and attempt.handle is not None:
        poll = Poll(attempt.platform, (Watch(attempt.handle, run.id, sent.attempt),))
        ports.messages.send(attempt.platform, [poll], _CLEAN_UP_SECONDS)
    return Answer(go=False, stop=False)


def _is_to_stop(run: Run, sent: Report) -> bool:
    return run.attempt != sent.attempt or run.state not in (RunState.PENDING, RunState.RUNNING)
