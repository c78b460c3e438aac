"""Do the ids of spans follow from the run, and from nothing else?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.core.model import Run
from push_dispatch.core.tracing import SpanContext, span_of, span_of_attempt, submitted_under

UUID = "0199c1f0-1111-7222-8333-444455556666"
RUN = Run("etl", UUID, "default", 1, 1, UUID)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PARENT}-01"


def test_a_run_has_a_trace_of_its_own_that_its_id_names() -> None:
    assert submitted_under(RUN) is None
    assert span_of(RUN).trace_id == UUID.replace("-", "")
    assert span_of(RUN) == span_of(replace(RUN, rev=7, attempt=2))
    spans = [span_of(RUN), span_of_attempt(RUN, 1), span_of_attempt(RUN, 2)]
    assert len({span.span_id for span in spans}) == 3
    assert {len(span.span_id) for span in spans} == {16}


def test_another_run_under_the_same_idempotency_key_is_another_trace() -> None:
    again = replace(RUN, order="0199c1f0-9999-7222-8333-444455556666")
    assert span_of(again).trace_id != span_of(RUN).trace_id
    assert span_of(again).span_id != span_of(RUN).span_id


def test_an_order_that_is_no_uuid_has_a_trace_too() -> None:
    """Any program may put a run into the table."""
    span = span_of(replace(RUN, order="first"))
    assert len(span.trace_id) == 32
    assert int(span.trace_id, 16)


def test_a_run_joins_the_trace_that_it_is_submitted_under() -> None:
    run = replace(RUN, traceparent=GIVEN)
    assert submitted_under(run) == SpanContext(TRACE, PARENT)
    assert span_of(run).trace_id == span_of_attempt(run, 1).trace_id == TRACE
    assert span_of(run).span_id == span_of(RUN).span_id != PARENT
    assert span_of_attempt(run, 3).traceparent == f"00-{TRACE}-{span_of_attempt(run, 3).span_id}-01"


def test_a_trace_that_is_not_recorded_stays_so() -> None:
    run = replace(RUN, traceparent=f"00-{TRACE}-{PARENT}-00")
    assert not span_of(run).sampled
    assert span_of_attempt(run, 1).traceparent.endswith("-00")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "none",
        GIVEN.upper(),
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-011",
    ],
)
def test_a_header_that_is_not_valid_is_as_none(header: str) -> None:
    assert span_of(replace(RUN, traceparent=header)) == span_of(RUN)


def test_a_later_version_of_the_header_may_say_more() -> None:
    run = replace(RUN, traceparent=f"01-{TRACE}-{PARENT}-03-more")
    assert submitted_under(run) == SpanContext(TRACE, PARENT)
