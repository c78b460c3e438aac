"""Does a flow run that waits say why in Prefect's interface, once per change of the reason?"""

from __future__ import annotations

from tests.fakes.bridged import START, Bridged
from tests.fakes.prefect import FakePrefect


def test_the_reason_is_shown_once_and_again_when_it_changes(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl", concurrency_limit=1)
    deployment = server.deployment("d", pool)
    ours.attach("etl")
    first, second = server.flow_run(deployment), server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    for _ in range(3):
        ours.minute()
    waiting = second if ours.started(first) else first
    assert server.state(waiting) == ("SCHEDULED", "AwaitingSlot")
    assert server.message(waiting) == (
        "push-dispatch: Work pool 'etl' is full (1 of 1). "
        "Wait for a run of it to end, or raise its limit."
    )
    assert len(server.history[waiting]) == 2, "once, not each minute"
    pool["is_paused"] = True
    ours.tick(mirror_now=True)
    ours.tick()
    assert "is paused. prefect work-pool resume 'etl'" in server.message(waiting)
    assert len(server.history[waiting]) == 3


def test_the_due_time_stays_to_the_microsecond(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=0))
    ours.attach("etl")
    run = server.flow_run(deployment)
    due = "2027-01-15T08:00:00.123457Z"
    server.runs[run]["next_scheduled_start_time"] = due
    for _ in range(3):
        ours.minute()
    assert server.state(run)[1] == "AwaitingSlot"
    assert server.runs[run]["next_scheduled_start_time"] == due


def test_a_run_of_the_future_is_not_touched(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=0))
    ours.attach("etl")
    run = server.flow_run(deployment, at=START + 110_000)
    ours.tick()
    ours.minute()
    assert len(server.history[run]) == 1


def test_a_run_that_is_cancelled_meanwhile_stays_so(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=0))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.clock.now += 30_000
    received = len(server.received)

    def cancelled_after_the_read(request: object) -> bool:
        if len(server.received) == received + 2:
            server.cancel(run)
        return False

    from tests.fakes.rest_server import Answer

    server._planned.append((cancelled_after_the_read, Answer(500)))
    ours.tick()
    assert server.state(run)[0] == "CANCELLED"


def test_a_run_whose_platform_has_no_room_gives_its_claim_back_with_the_reason(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.platform.refuse = _no_room
    ours.tick()
    ours.deliver()
    for _ in range(3):
        ours.minute()
    assert server.state(run) == ("SCHEDULED", "AwaitingSlot"), "not PENDING, which holds a lease"
    ours.platform.refuse = lambda _job: None
    for _ in range(4):
        ours.minute()
    assert ours.started(run) == 1
    assert server.state(run)[0] == "PENDING"


def _no_room(_job: object) -> None:
    from push_dispatch.core.errors import NoCapacity

    raise NoCapacity("no room")
