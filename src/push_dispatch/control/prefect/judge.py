"""What follows from the state of a flow run and the state of our run for it? Pure.

The server is the source of truth about what is wanted, our table about what exists. Each rule
names the one thing to do; a thing that is done already leads to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from push_dispatch.control.prefect.runs import Turn
from push_dispatch.core.model import Run, RunState
from push_dispatch.core.reasons import Reason, describe
from push_dispatch.ports.prefect import FlowRun

__all__ = ["CANCEL_GRACE_SECONDS", "Act", "Judgement", "ending", "judge", "judge_missing"]

#: What a container needs to end itself after a cancellation: it polls the server, and runs the
#: flow's own hooks. After that we stop it.
CANCEL_GRACE_SECONDS = 10
#: A container whose flow run has ended writes its last log lines and exits.
END_GRACE_SECONDS = 60
#: A difference of due times below that is rounding.
_SAME_MS = 1000


class Act(Enum):
    """What to do for a flow run."""

    NOTHING = auto()
    #: Submit its next turn.
    SUBMIT = auto()
    #: Take our run out of the line: the server wants it at another time, or no more.
    WITHDRAW = auto()
    #: Stop our run; what it leads to is reported when the infrastructure is gone.
    STOP = auto()
    #: Look again once the container has had its time to end itself.
    WAIT = auto()
    #: Report the end to the server.
    CANCELLED = auto()
    CRASHED = auto()
    #: Tell the server that a claim of ours waits again.
    RETURN = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do, and what to say to people."""

    act: Act
    message: str = ""
    #: Seconds until WAIT is over.
    after_seconds: float = 0.0
    #: Only if the flow run's last claim was ours: a worker may have taken it instead of us, or a
    #: rerun of it, and its run is not ours to end.
    if_claimed: bool = False


_NOTHING = Judgement(Act.NOTHING)


def judge(flow_run: FlowRun, turn: Turn, bridge: str, began: int) -> Judgement:
    """What follows for a flow run that the server listed at `began`, and our newest turn of it,
    which was read after that. `bridge` is the transition id of our claims."""
    run = turn.run
    if run is not None and run.state.ended and (run.ended_at or 0) > began:
        return _NOTHING  # The server's answer is older than this end: the next look knows both.
    match flow_run.state.type:
        case "SCHEDULED":
            return _scheduled(flow_run, run)
        case "PENDING" | "RUNNING":
            return _under_way(flow_run, run, bridge, began)
        case "CANCELLING":
            return _cancelling(flow_run, run, began)
        case "PAUSED":
            return _paused(flow_run, run)
    return _over(flow_run, run, began)


def judge_missing(run: Run) -> Judgement:
    """What follows for a run of ours whose flow run the server does not know any more."""
    if run.state is RunState.SCHEDULED:
        return Judgement(Act.WITHDRAW)
    return Judgement(Act.STOP) if _lives(run) else _NOTHING


def ending(run: Run) -> str:
    """Why our run is over, and what to do about it, for people who read it in Prefect."""
    attempt = run.current
    reason = run.reason or (attempt.reason if attempt else None) or ""
    known = describe(reason) if reason else None
    code = attempt.exit_code if attempt else None
    if known is None or reason == Reason.COMPLETED:
        text = "The infrastructure ended without reporting the end of the flow run"
        sentence = f"{text} (exit code {code})." if code is not None else f"{text}."
    else:
        sentence = known.sentence + (f" (exit code {code})" if code is not None else "")
    details = f" {run.message}" if run.message else ""
    remedy = f" {known.remedy}" if known and known.remedy != "See the message." else ""
    return f"push-dispatch: {sentence}{details}{remedy}"[:2000]


# -- one function for each state of the flow run ------------------------------------------------


def _scheduled(flow_run: FlowRun, run: Run | None) -> Judgement:
    if run is None:
        return Judgement(Act.SUBMIT)
    if run.state is RunState.SCHEDULED:
        moved = flow_run.due is not None and abs(flow_run.due - run.due) > _SAME_MS
        waits_since = run.due > run.submitted_at or (flow_run.due or 0) > run.submitted_at
        return Judgement(Act.WITHDRAW) if moved and waits_since else _NOTHING
    if not run.state.ended:
        return _NOTHING  # A retry inside of the container, or one that is about to exit.
    if flow_run.retries_in_process:
        # Nobody is ever offered a run whose retry only its dead container knows of.
        return Judgement(Act.CRASHED, ending(run))
    first = run.attempts[0].claimed_at if run.attempts else 0
    if first and flow_run.state.timestamp < first:
        # Scheduled before we started it: the server has forgotten that, as after a restore.
        why = "the server has lost what happened since it was started; it is not started twice."
        return Judgement(Act.CRASHED, f"{ending(run)} (But {why} Run it again if it must be.)")
    return Judgement(Act.SUBMIT)


def _under_way(flow_run: FlowRun, run: Run | None, bridge: str, began: int) -> Judgement:
    if run is None:
        # A claim of ours whose run is gone from the table, or the run of a worker.
        ours = flow_run.state.transition_id == bridge
        old = began - flow_run.state.timestamp > END_GRACE_SECONDS * 1000
        lost = "push-dispatch: The run that was claimed for it is not in the table any more."
        return Judgement(Act.CRASHED, lost) if ours and old else _NOTHING
    if run.state.ended:
        if flow_run.state.type == "PENDING" and flow_run.state.transition_id != bridge:
            return _NOTHING  # A worker's.
        act = Act.CANCELLED if run.state is RunState.CANCELLED else Act.CRASHED
        return Judgement(act, ending(run), if_claimed=flow_run.state.type == "RUNNING")
    if flow_run.state.type == "PENDING" and run.state is RunState.SCHEDULED and run.attempts:
        return Judgement(Act.RETURN)
    return _NOTHING


def _cancelling(flow_run: FlowRun, run: Run | None, began: int) -> Judgement:
    if run is None or run.state.ended:
        return Judgement(Act.CANCELLED, "Stopped by push-dispatch.", if_claimed=True)
    if run.state is RunState.CANCELLING:
        return _NOTHING
    if not _lives(run):
        return Judgement(Act.WITHDRAW)  # The next look reports it, if the claim was ours.
    left = CANCEL_GRACE_SECONDS - (began - flow_run.state.timestamp) / 1000
    return Judgement(Act.WAIT, after_seconds=left) if left > 0 else Judgement(Act.STOP)


def _paused(flow_run: FlowRun, run: Run | None) -> Judgement:
    """A suspended container exits and the resume is another turn; a blocking pause goes on."""
    waiting = run is not None and run.state is RunState.SCHEDULED
    return Judgement(Act.WITHDRAW) if waiting and flow_run.state.reschedules else _NOTHING


def _over(flow_run: FlowRun, run: Run | None, began: int) -> Judgement:
    if run is None or run.state.ended or run.state is RunState.CANCELLING:
        return _NOTHING
    if run.state is RunState.SCHEDULED:
        return Judgement(Act.WITHDRAW)
    left = END_GRACE_SECONDS - (began - flow_run.state.timestamp) / 1000
    return _NOTHING if left > 0 else Judgement(Act.STOP)


def _lives(run: Run) -> bool:
    return run.state in (RunState.PENDING, RunState.RUNNING)
