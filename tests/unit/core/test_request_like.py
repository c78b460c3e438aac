from __future__ import annotations

from dataclasses import fields

from push_dispatch.core.model import Collision
from push_dispatch.core.request import Request, request_like, run_of

WHOLE = Request(
    pool="p",
    queue="urgent",
    variables={"cpu": 1},
    name="nightly",
    tags=("etl",),
    timeout_seconds=9,
    retries=3,
    crash_retries=2,
    retry_delay_seconds=5,
    idempotency_key="once",
    concurrency_key="k",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    deployment="etl",
    deployment_variables={"memory": 2},
    collision=Collision.CANCEL_NEW,
    debounce_seconds=4,
    parameters={"day": 1},
)
#: What a run keeps as moments instead.
TIMES = {"at", "start_within", "start_by_seconds"}


def test_a_run_gives_back_the_request_that_created_it_but_for_its_times() -> None:
    run = run_of(WHOLE, now=1, order="0199c1f0-1111-7222-8333-444455556666")
    assert request_like(run) == WHOLE


def test_no_attribute_of_a_request_is_left_out_by_this_test() -> None:
    default = Request(pool="")
    same = {f.name for f in fields(Request) if getattr(WHOLE, f.name) == getattr(default, f.name)}
    assert same <= {*TIMES, "debounce_edge", "weights"}
