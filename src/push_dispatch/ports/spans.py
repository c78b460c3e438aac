"""What are the spans of a run? A pure mapping of a run that has ended, exported by `adapters.otlp`.

One span for the run, from its submission to its end, and below it one for each attempt that it
keeps, named as OpenTelemetry's conventions for CI/CD name pipelines and their tasks:
opentelemetry.io/docs/specs/semconv/cicd. The ids follow from the run, so that a run which is
exported twice is the same spans twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from push_dispatch.core.bounds import short
from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.tracing import SpanContext, span_of, span_of_attempt, submitted_under

__all__ = ["Attributes", "Span", "pipeline_of", "result_of", "spans_of"]

Attributes = Mapping[str, str | int | Sequence[str]]

_TIMEOUTS = (Reason.TIMED_OUT, Reason.START_TIMEOUT)
_CANCELLED = (
    Reason.CANCELLED_BY_USER,
    Reason.CANCELLED_BY_COLLISION,
    Reason.REPLACED,
    Reason.SUPERSEDED,
    Reason.WITHDRAWN,
)
#: Results that are errors; the others leave a span's status unset.
_ERRORS = ("failure", "error", "timeout")


@dataclass(frozen=True, slots=True)
class Span:
    """A span. Times are epoch milliseconds."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    start: int
    end: int
    attributes: Attributes
    #: The span of a run: its parent, if it has one, is of another system.
    entry: bool = False
    #: Why it is an error; None if it is none.
    error: str | None = None
    #: What happened in between, by name and time.
    events: tuple[tuple[str, int], ...] = ()


def spans_of(run: Run) -> list[Span]:
    """Return the spans of a run that has ended: its own, and those of its attempts. Empty if it was
    submitted under a trace that is not recorded."""
    own = span_of(run)
    if not run.state.ended or not own.sampled:
        return []
    end = max(run.submitted_at, run.ended_at or 0)
    result = result_of(run)
    whole = Span(
        name=f"RUN {pipeline_of(run)}",
        context=own,
        parent=submitted_under(run),
        start=run.submitted_at,
        end=end,
        attributes=_attributes_of(run, result),
        entry=True,
        error=_error(result, run.message, run.reason),
    )
    return [whole, *(_attempt(run, attempt, end) for attempt in run.attempts)]


def pipeline_of(run: Run) -> str:
    """Return what the conventions call the pipeline's name: few of them, many runs each."""
    return run.deployment or run.pool


def result_of(run: Run) -> str:
    """Return how a run ended, in the words of the conventions."""
    match run.state:
        case RunState.COMPLETED:
            return "success"
        case RunState.FAILED:
            return "failure"
        case RunState.CANCELLED:
            skipped = not run.attempts and run.reason != Reason.CANCELLED_BY_USER
            return "skip" if skipped else "cancellation"
        case _:
            return "timeout" if run.reason in _TIMEOUTS else "error"


def _attributes_of(run: Run, result: str) -> Attributes:
    return {
        **_pipeline(run),
        "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.result": result,
        **_error_type(result, run.reason),
        **({"push_dispatch.reason": run.reason} if run.reason else {}),
        **({"push_dispatch.run.name": short(run.name)} if run.name else {}),
        **({"push_dispatch.run.tags": run.tags} if run.tags else {}),
    }


def _attempt(run: Run, attempt: Attempt, run_end: int) -> Span:
    start = attempt.claimed_at or attempt.pushed_at or attempt.started_at or run.submitted_at
    result = _result_of_attempt(run, attempt)
    task = f"attempt {attempt.type or attempt.platform}"
    seen = (("accepted", attempt.pushed_at), ("running", attempt.started_at))
    return Span(
        name=task,
        context=span_of_attempt(run, attempt.number),
        parent=span_of(run),
        start=start,
        end=max(start, attempt.ended_at or run_end),
        attributes={
            **_pipeline(run),
            "cicd.pipeline.task.name": task,
            "cicd.pipeline.task.run.id": f"{run.id}/{attempt.number}",
            "cicd.pipeline.task.run.result": result,
            **_error_type(result, attempt.reason),
            "push_dispatch.attempt": attempt.number,
            "push_dispatch.platform": attempt.platform,
            **({"push_dispatch.handle": attempt.handle} if attempt.handle else {}),
            **({"push_dispatch.tried": attempt.tried} if attempt.tried else {}),
            **({} if attempt.exit_code is None else {"process.exit.code": attempt.exit_code}),
        },
        error=_error(result, attempt.message, attempt.reason),
        events=tuple((name, at) for name, at in seen if at is not None),
    )


def _result_of_attempt(run: Run, attempt: Attempt) -> str:
    if attempt is run.current and run.state is not RunState.CRASHED:
        return result_of(run)
    if attempt.reason == Reason.COMPLETED:
        return "success"
    if attempt.reason == Reason.EXIT_CODE:
        return "failure"
    if attempt.reason in _CANCELLED:
        return "cancellation"
    return "timeout" if attempt.reason in _TIMEOUTS else "error"


def _pipeline(run: Run) -> Attributes:
    return {
        "cicd.pipeline.name": pipeline_of(run),
        "cicd.pipeline.run.id": run.id,
        "push_dispatch.pool": run.pool,
        "push_dispatch.queue": run.queue,
    }


def _error_type(result: str, reason: str | None) -> Attributes:
    return {"error.type": reason or "_OTHER"} if result in _ERRORS else {}


def _error(result: str, message: str | None, reason: str | None) -> str | None:
    return short(message or reason or result) if result in _ERRORS else None
