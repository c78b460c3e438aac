"""What happens to a flow run from its schedule to its end, and when anything breaks on the way?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.control.prefect.runs import Turn, newest
from push_dispatch.core.model import NamedLimit, RunState
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports
from tests.fakes.bridged import START, Bridged, Clock
from tests.fakes.memory_platform import Container
from tests.fakes.prefect import FakePrefect


def stopped(container: Container) -> bool:
    return container.stop_asked


def test_an_adhoc_run_is_claimed_then_pushed_and_its_place_is_noted(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"), job_variables={"env": {"A": "1"}})
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    assert server.state(run) == ("PENDING", "Pending")
    container = ours.container(run)
    assert server.runs[run]["infrastructure_pid"] == container.job.name
    assert container.job.configuration["command"] == "prefect flow-run execute"
    env = container.job.configuration["env"]
    assert env["PREFECT_API_URL"] == server.api
    assert env["PREFECT__FLOW_RUN_ID"] == run
    assert env["PREFECT__FLOW_NAME"] == "flow-of-d"
    assert env["PREFECT__DEPLOYMENT_NAME"] == "d"
    assert env["A"] == "1"
    ours.execute(run)
    ours.minute()
    assert server.state(run) == ("COMPLETED", "Completed")
    assert ours.started(run) == 1


def test_the_infrastructure_has_the_labels_of_prefects_own_workers(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl")
    given = {"team": "data", "prefect.io/flow-name": "mine"}
    deployment = server.deployment("d", pool, job_variables={"labels": given})
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    assert ours.container(run).job.configuration["labels"] == {
        "prefect.io/flow-run-id": run,
        "prefect.io/flow-run-name": "a-name",
        "prefect.io/work-pool-name": "etl",
        "prefect.io/work-pool-id": pool["id"],
        "prefect.io/worker-name": "push-dispatch",
        "prefect.io/flow-id": deployment["flow_id"],
        "prefect.io/flow-name": "mine",
        "prefect.io/deployment-id": deployment["id"],
        "prefect.io/deployment-name": "d",
        "prefect.io/deployment-updated": "2026-01-02T03:04:05.678+00:00",
        "team": "data",
    }


@pytest.mark.parametrize("more", [{}, {"labels": {"team": "data"}}])
def test_labels_of_the_pool_stay_unless_those_of_the_run_replace_them(
    server: FakePrefect, ours: Bridged, more: dict[str, object]
) -> None:
    template = default_template("process")
    template["variables"]["properties"]["labels"]["default"] = {"of": "pool"}
    deployment = server.deployment("d", server.pool("etl", base_job_template=template))
    ours.attach("etl")
    run = server.flow_run(deployment, job_variables=more)
    ours.tick()
    ours.deliver()
    labels = ours.container(run).job.configuration["labels"]
    assert labels["prefect.io/flow-run-id"] == run
    own = {name: labels[name] for name in labels if not name.startswith("prefect.io/")}
    assert own == (more.get("labels") or {"of": "pool"})


def test_a_pool_without_labels_goes_without(server: FakePrefect, ours: Bridged) -> None:
    template = default_template("process")
    del template["variables"]["properties"]["labels"]
    del template["job_configuration"]["labels"]
    deployment = server.deployment("d", server.pool("etl", base_job_template=template))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    assert "labels" not in ours.container(run).job.configuration


def test_a_scheduled_run_stands_in_line_a_minute_before_and_starts_at_its_second(
    server: FakePrefect, ours: Bridged, clock: Clock
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment, at=START + 90_000)
    ours.tick()
    ours.deliver()
    (waiting,) = ours.runs("etl")
    assert waiting.state is RunState.SCHEDULED
    assert waiting.due == START + 90_000
    clock.now = START + 89_999
    ours.deliver()
    assert not ours.containers()
    assert server.state(run)[0] == "SCHEDULED"
    clock.now = START + 90_000
    ours.deliver()
    assert ours.started(run) == 1


def test_reading_the_same_run_again_submits_it_once(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    server.flow_run(deployment, at=START + 90_000)
    for _ in range(3):
        ours.tick()
    assert len(ours.runs("etl")) == 1


def test_a_run_beyond_max_waiting_stays_at_the_server_until_there_is_room(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=1))
    ours.attach("etl")
    limit = NamedLimit("all", max_waiting=1)
    change_pool(ours.ports, "etl", lambda pool: replace(pool, limits=(limit,)))
    runs = [server.flow_run(deployment) for _ in range(3)]
    ours.tick()
    ours.deliver()
    ours.tick()
    ours.deliver()
    assert sum(ours.started(run) for run in runs) == 1
    assert len(ours.runs("etl")) == 2
    for run in runs:
        if ours.started(run):
            ours.execute(run)
    for _ in range(3):
        ours.minute()
    assert len(ours.runs("etl")) == 3


def test_limits_of_pool_and_queue_hold_and_the_order_is_that_of_priorities(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl", concurrency_limit=2)
    low = server.queue(pool, "low", concurrency_limit=1)
    first = server.deployment("first", pool)
    second = server.deployment("second", pool, work_queue_id=low["id"])
    ours.attach("etl")
    lows = [server.flow_run(second) for _ in range(3)]
    highs = [server.flow_run(first) for _ in range(2)]
    ours.tick()
    ours.deliver()
    assert [ours.started(run) for run in highs] == [1, 1]
    assert sum(ours.started(run) for run in lows) == 0
    for run in highs:
        ours.execute(run)
    assert sum(ours.started(run) for run in lows) == 1


def test_a_limit_that_is_changed_on_the_server_counts_after_the_mirroring(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl", concurrency_limit=0)
    deployment = server.deployment("d", pool)
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    assert ours.started(run) == 0
    pool["concurrency_limit"] = 1
    for _ in range(6):
        ours.minute()
    assert ours.started(run) == 1


def test_a_paused_pool_starts_nothing(server: FakePrefect, ours: Bridged) -> None:
    pool = server.pool("etl", is_paused=True)
    deployment = server.deployment("d", pool)
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.minute()
    assert ours.started(run) == 0
    pool["is_paused"] = False
    ours.tick(mirror_now=True)
    ours.deliver()
    assert ours.started(run) == 1


def test_a_pause_counts_within_a_minute_while_runs_wait(server: FakePrefect, ours: Bridged) -> None:
    pool = server.pool("etl", concurrency_limit=0)
    deployment = server.deployment("d", pool)
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.minute()
    pool |= {"concurrency_limit": 5, "is_paused": True}
    ours.minute()
    ours.minute()
    assert ours.started(run) == 0
    pool["is_paused"] = False
    ours.minute()
    assert ours.started(run) == 1


def test_a_run_of_a_queue_that_was_just_created_starts(server: FakePrefect, ours: Bridged) -> None:
    pool = server.pool("etl")
    ours.attach("etl")
    queue = server.queue(pool, "new")
    run = server.flow_run(server.deployment("d", pool, work_queue_id=queue["id"]))
    ours.tick()
    ours.deliver()
    assert ours.started(run) == 1
    assert [mine.queue for mine in ours.runs("etl")] == ["new"]


def test_a_renamed_queue_keeps_its_line(server: FakePrefect, ours: Bridged) -> None:
    pool = server.pool("etl", concurrency_limit=0)
    queue = server.queue(pool, "old")
    deployment = server.deployment("d", pool, work_queue_id=queue["id"])
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    queue["name"] = "new"
    pool["concurrency_limit"] = 1
    ours.tick(mirror_now=True)
    ours.deliver()
    assert ours.started(run) == 1


def test_variables_of_the_server_are_resolved_and_blocks_become_secrets(
    server: FakePrefect, ours: Bridged
) -> None:
    server.variables |= {"colour": "blue", "size": 3}
    env = {"A": "{{ prefect.variables.colour }}-1", "B": "{{ prefect.variables.nowhere }}"}
    pool = server.pool("etl")
    deployment = server.deployment("d", pool, job_variables={"env": env})
    ours.attach("etl")
    run = server.flow_run(
        deployment, job_variables={"env": {"C": "{{ prefect.blocks.secret.token }}"}}
    )
    ours.tick()
    ours.deliver()
    (mine,) = ours.runs("etl")
    assert mine.deployment_variables["env"] == {"A": "blue-1", "B": None}
    assert mine.variables["env"]["C"] == "{{ secrets.prefect-blocks/etl/secret/token }}"
    del run


def test_runs_that_are_due_at_once_start_in_the_order_of_their_times(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=1))
    ours.attach("etl")
    late = [server.flow_run(deployment, at=START - at * 1000) for at in (1, 3, 2)]
    ours.tick()
    ours.deliver()
    assert [ours.started(run) for run in late] == [0, 1, 0]


# -- one winner -------------------------------------------------------------------------------


def test_a_run_that_a_worker_has_taken_is_not_started(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment, at=START + 60_000)
    ours.tick()
    server.propose(run, {"type": "PENDING", "state_details": {"transition_id": "a-worker"}})
    ours.minute()
    assert ours.started(run) == 0
    assert server.state(run) == ("PENDING", "Pending")
    (mine,) = ours.runs("etl")
    assert (mine.state, mine.reason) == (RunState.CANCELLED, "withdrawn")


def test_a_rerun_that_a_worker_has_taken_is_left_to_it(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.execute(run, state="FAILED", code=1)
    ours.clock.now += 5000
    server.write(run, {"type": "SCHEDULED"})
    server.propose(run, {"type": "PENDING", "state_details": {"transition_id": "a-worker"}})
    ours.minute()
    assert server.state(run)[0] == "PENDING"
    server.write(run, {"type": "RUNNING"})
    ours.minute()
    assert server.state(run)[0] == "RUNNING"
    server.cancel(run)
    ours.minute()
    assert server.state(run)[0] == "CANCELLING", "its container is the worker's to stop"


def test_two_bridges_on_one_pool_start_each_run_once(server: FakePrefect, clock: Clock) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    both = [Bridged(server, clock), Bridged(server, clock)]
    both[1]._ids += 1000  # another table, another uuid
    for each in both:
        each.attach("etl")
    runs = [server.flow_run(deployment) for _ in range(12)]
    for each in both:
        each.tick()
    for each in reversed(both):
        each.deliver()
    assert [sum(each.started(run) for each in both) for run in runs] == [1] * 12


@pytest.mark.parametrize("lost", [1, 2])
def test_a_claim_whose_reply_was_lost_is_ours(
    server: FakePrefect, ours: Bridged, lost: int
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    for call in range(lost):
        server.lose_reply(call)
    ours.deliver()
    assert server.state(run)[0] == "PENDING"
    ours.minute()
    assert ours.started(run) == 1
    assert [state["type"] for state in server.history[run]] == ["SCHEDULED", "PENDING"]


def test_a_deployment_at_its_limit_gives_the_slot_back_and_the_run_waits(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl", concurrency_limit=1)
    limited = server.deployment("limited", pool)
    other = server.deployment("other", pool)
    server.limits[limited["id"]] = 0
    ours.attach("etl")
    run = server.flow_run(limited)
    ours.tick()
    ours.deliver()
    assert server.state(run) == ("SCHEDULED", "AwaitingConcurrencySlot")
    # Its slot is free for others meanwhile.
    second = server.flow_run(other)
    ours.tick()
    ours.deliver()
    assert ours.started(second) == 1
    ours.execute(second)
    server.limits[limited["id"]] = 1
    ours.minute()
    assert ours.started(run) == 1
    assert len(ours.runs("etl")) == 2, "it is the same run of ours, which waited"


def test_a_deployment_that_stays_at_its_limit_costs_two_claims_a_minute_and_no_more(
    server: FakePrefect, ours: Bridged
) -> None:
    limited = server.deployment("limited", server.pool("etl"))
    server.limits[limited["id"]] = 0
    ours.attach("etl")
    server.flow_run(limited)
    ours.minute()
    before = ours.requests()
    for _ in range(10):
        ours.minute()
    # A look, two claims, and pools and queues, which are mirrored each minute while runs wait.
    assert ours.requests() - before <= 10 * 6


# -- ends -------------------------------------------------------------------------------------


def test_a_container_that_dies_silently_is_crashed_at_once_with_the_cause(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.execute(run, state="", code=137)
    assert server.state(run) == ("CRASHED", "Crashed")
    assert "137" in server.message(run)


def test_a_container_that_exits_with_0_and_reports_nothing_is_crashed_within_a_minute(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.execute(run, state="")
    ours.minute()
    assert server.state(run)[0] == "CRASHED"


def test_a_failed_flow_stays_failed(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.execute(run, state="FAILED")
    ours.minute()
    assert [s["type"] for s in server.history[run]][-1] == "FAILED"


def test_a_start_that_the_platform_refuses_is_crashed_and_in_the_logs(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.platform.failures = ["rejected"]
    ours.tick()
    ours.deliver()
    assert server.state(run)[0] == "CRASHED"
    assert "not like that" in server.message(run)
    assert [(line["flow_run_id"], line["level"]) for line in server.logs] == [(run, 40)]


@pytest.mark.parametrize("name", ["AwaitingRetry", "Scheduled"])
def test_a_rerun_from_the_interface_runs_again(
    server: FakePrefect, ours: Bridged, name: str
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.execute(run, state="FAILED")
    ours.clock.now += 1000
    server.write(run, {"type": "SCHEDULED", "name": name})
    ours.minute()
    assert ours.started(run) == 2


def test_a_suspended_run_is_not_crashed_and_its_resume_starts_it_again(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    container = ours.container(run)
    server.write(run, {"type": "RUNNING"})
    ours.platform.begin(container)
    server.write(
        run,
        {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}},
    )
    ours.platform.end(container, 0)
    ours.deliver()
    ours.minute()
    assert server.state(run) == ("PAUSED", "Suspended")
    server.write(run, {"type": "SCHEDULED", "name": "Resuming"})
    ours.minute()
    assert ours.started(run) == 2


def test_a_retry_inside_of_the_container_is_left_to_it(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.platform.begin(ours.container(run))
    server.write(run, {"type": "SCHEDULED", "name": "AwaitingRetry"})
    server.runs[run]["empirical_policy"] = {"retry_type": "in_process"}
    ours.minute()
    assert ours.started(run) == 1
    ours.platform.end(ours.container(run), 137)
    ours.deliver()
    ours.minute()
    assert server.state(run)[0] == "CRASHED", "its container is dead, and nobody else retries it"


# -- cancellation -----------------------------------------------------------------------------


def test_a_cancelled_run_that_waits_with_us_leaves_the_line(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=0))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    server.cancel(run)
    ours.minute()
    assert server.state(run)[0] == "CANCELLED"
    (mine,) = ours.runs("etl")
    assert mine.state is RunState.CANCELLED


def test_a_cancelled_container_has_time_to_end_itself_and_is_stopped_then(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    server.write(run, {"type": "RUNNING"})
    container = ours.container(run)
    ours.platform.begin(container)
    ours.deliver()
    server.cancel(run)
    ticked = ours.tick()
    ours.deliver()
    assert not stopped(container)
    assert ticked.again_seconds == pytest.approx(10, abs=1)
    ours.clock.now += 11_000
    ours.tick()
    ours.deliver()
    assert stopped(container)
    assert server.state(run)[0] == "CANCELLING", "not before the infrastructure is gone"
    ours.platform.end(container, 143)
    ours.deliver()
    assert server.state(run) == ("CANCELLED", "Cancelled")


def test_a_run_that_is_cancelled_between_its_claim_and_its_push_ends(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.platform.failures = ["throttled"] * 3
    ours.tick()
    ours.deliver()
    server.cancel(run)
    assert server.state(run)[0] == "CANCELLING"
    for _ in range(3):
        ours.minute()
        for container in ours.platform.live():
            if container.stop_asked:
                ours.platform.end(container, 143)
    ours.minute()
    assert server.state(run)[0] == "CANCELLED"


def test_a_container_whose_run_the_server_has_ended_is_stopped(
    server: FakePrefect, ours: Bridged
) -> None:
    """The server gives up a cancellation after five minutes, whatever runs."""
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    container = ours.container(run)
    ours.platform.begin(container)
    server.write(run, {"type": "CANCELLED"})
    ours.minute(30)
    assert not stopped(container), "it may be writing its last lines"
    ours.minute()
    assert stopped(container)


# -- what is deleted --------------------------------------------------------------------------


def test_a_deleted_run_leaves_nothing(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=0))
    ours.attach("etl")
    run = server.flow_run(deployment, at=START + 90_000)
    ours.tick()
    ours.deliver()
    del server.runs[run]
    ours.minute()
    (mine,) = ours.runs("etl")
    assert (mine.state, mine.reason) == (RunState.CANCELLED, "withdrawn")


def test_a_container_of_a_deleted_run_is_stopped(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    container = ours.container(run)
    del server.runs[run]
    ours.minute()
    assert stopped(container)


def test_runs_of_a_deleted_queue_are_cancelled_with_the_reason(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl", concurrency_limit=0)
    queue = server.queue(pool, "extra")
    deployment = server.deployment("d", pool, work_queue_id=queue["id"])
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    del server.queues[queue["id"]]
    server.runs[run]["work_queue_id"] = None
    ours.tick(mirror_now=True)
    assert server.state(run)[0] == "CANCELLED"
    assert "was deleted" in server.message(run)


def test_a_deleted_work_pool_stops_nothing_that_runs_and_says_so(
    server: FakePrefect, ours: Bridged
) -> None:
    pool = server.pool("etl", concurrency_limit=1)
    deployment = server.deployment("d", pool)
    ours.attach("etl")
    runs = [server.flow_run(deployment) for _ in range(2)]
    ours.tick()
    ours.deliver()
    del server.pools[pool["id"]]
    del server.queues[pool["default_queue_id"]]
    for run in runs:
        server.runs[run]["work_queue_id"] = None
    for _ in range(6):
        ours.minute()
    running, waiting = sorted(runs, key=ours.started, reverse=True)
    assert ours.started(running) == 1
    assert server.state(waiting)[0] == "CANCELLED"
    assert "deleted" in ours.store.attachments()["etl"]["problem"]


# -- what is down -----------------------------------------------------------------------------


def test_a_server_that_is_down_for_two_minutes_fails_no_run(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=2))
    ours.attach("etl")
    runs = [server.flow_run(deployment) for _ in range(5)]
    ours.tick()
    server.down = True
    ours.minute()
    ours.minute()
    server.down = False
    for _ in range(6):
        ours.minute()
        for run in runs:
            if server.state(run)[0] == "PENDING":
                ours.execute(run)
    assert {server.state(run)[0] for run in runs} == {"COMPLETED"}
    assert [ours.started(run) for run in runs] == [1] * 5


def test_a_server_that_is_down_for_hours_leaves_no_pile_of_messages(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=2))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    server.down = True
    for _ in range(60):
        ours.minute()
    assert len(ours.mail.waiting) <= 10
    server.down = False
    ours.minute()
    ours.minute()
    assert ours.started(run) == 1


def test_a_bridge_that_was_stopped_for_five_minutes_goes_on(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    waiting = server.flow_run(deployment, at=START + 60_000)
    dying = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    ours.stopped = True
    server.write(dying, {"type": "RUNNING"})
    ours.platform.begin(ours.container(dying))
    ours.platform.end(ours.container(dying), 137)
    for _ in range(5):
        ours.minute()
    late = server.flow_run(deployment)
    ours.stopped = False
    for _ in range(2):
        ours.minute()
    assert server.state(dying)[0] == "CRASHED"
    assert [ours.started(run) for run in (waiting, dying, late)] == [1, 1, 1]


def test_a_server_that_was_restored_from_a_backup_starts_nothing_twice(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    backup = dict(server.runs[run])
    ours.clock.now += 1000
    ours.tick()
    ours.deliver()
    ours.execute(run)
    server.runs[run] = {**backup, "infrastructure_pid": None}
    ours.minute()
    ours.minute()
    assert ours.started(run) == 1
    assert server.state(run)[0] == "CRASHED"
    assert "not started twice" in server.message(run)


def test_a_pool_that_cannot_be_served_costs_the_others_nothing(
    server: FakePrefect, ours: Bridged, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = server.pool("bad"), server.pool("good")
    server.flow_run(server.deployment("b", bad))
    run = server.flow_run(server.deployment("g", good))
    ours.attach("bad")
    ours.attach("good")

    def broken(ports: Ports, pool: str, flow_runs: Iterable[str]) -> dict[str, Turn]:
        if pool == "bad":
            raise TypeError("a document that nobody has thought of")
        return newest(ports, pool, flow_runs)

    monkeypatch.setattr("push_dispatch.control.prefect.tick.newest", broken)
    assert ours.tick().failed == ["bad"]
    ours.deliver()
    assert ours.started(run) == 1


def test_what_is_idle_costs_one_request_a_minute_and_a_few_in_five(
    server: FakePrefect, ours: Bridged
) -> None:
    server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    ours.minute()
    before = ours.requests()
    for _ in range(30):
        ours.minute()
    assert ours.requests() - before <= 30 * 2


def test_a_run_costs_two_requests(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    ours.minute()
    before = ours.requests()
    runs = [server.flow_run(deployment) for _ in range(50)]
    ours.tick()
    ours.deliver()
    for run in runs:
        ours.execute(run)
    ours.minute()
    # Beside that, what a look costs: runs, pools, queues, deployments, flows, and the next look.
    assert ours.requests() - before <= 2 * 50 + 6


def test_an_adhoc_run_that_was_hinted_at_costs_its_claim_and_the_note_of_its_place(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl", hint_url="https://door", hint_secret="s")
    ours.minute()
    for _ in range(5):
        before = ours.requests()
        run = server.flow_run(deployment)
        assert ours.hint(run)
        ours.deliver()
        ours.execute(run)
        assert server.state(run) == ("COMPLETED", "Completed")
        assert ours.requests() - before == 2


def test_a_minute_with_single_runs_costs_four_requests_beside_theirs(
    server: FakePrefect, ours: Bridged
) -> None:
    """A look, the deployments of new runs, and pools and queues, which may be paused."""
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    for each in range(12):
        server.flow_run(deployment, at=START + each * 60_000 + 90_500)
    ours.minute()
    before, known = ours.requests(), set[str]()
    for _ in range(10):
        ours.minute()
        for run in server.runs:
            if ours.started(run) and run not in known:
                known.add(run)
                ours.execute(run)
    assert len(known) == 10
    heartbeats = 1
    assert ours.requests() - before <= 10 * 2 + 10 * 4 + heartbeats
