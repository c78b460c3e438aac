"""Which span is that of a run? Its ids follow from the run, so none is stored.

The header is that of W3C Trace Context (www.w3.org/TR/trace-context): a run takes it from who
submits it, and each attempt hands one on to its job.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from push_dispatch.core.model import Run

__all__ = ["SpanContext", "span_of", "span_of_attempt", "submitted_under"]

_HEADER = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|\Z)")
_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class SpanContext:
    """Names a span: lower-case hexadecimal digits, 32 and 16 of them, never all zero."""

    trace_id: str
    span_id: str
    #: Whether the trace is recorded; what a run was submitted with holds for its attempts and jobs.
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The header that hands it on."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def submitted_under(run: Run) -> SpanContext | None:
    """Return the span under which the run was submitted; None without a valid `traceparent`."""
    match = _HEADER.match(run.traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return SpanContext(trace_id, span_id, sampled=bool(int(flags, 16) & 1))


def span_of(run: Run) -> SpanContext:
    """Return the run's span: in the trace under which it was submitted, else in one of its own,
    whose id is the run's uuid."""
    return _span(run, "run")


def span_of_attempt(run: Run, number: int) -> SpanContext:
    """Return the span of an attempt, in the trace of its run."""
    return _span(run, str(number))


def _span(run: Run, part: str) -> SpanContext:
    parent = submitted_under(run)
    span_id = _hashed(f"{run.pool}/{run.instance}/{part}", 16)
    if parent is not None:
        return SpanContext(parent.trace_id, span_id, parent.sampled)
    # Equal to the uuid, but for a run whose idempotency key was used before: then it differs.
    own = run.order.replace("-", "")
    return SpanContext(own if _TRACE_ID.match(own) else _hashed(run.instance, 32), span_id)


def _hashed(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
