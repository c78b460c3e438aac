"""Does a plan name every value that changes, and what it means for the runs concerned?"""

from __future__ import annotations

from dataclasses import replace

from push_dispatch.control.apply_text import (
    deployment_changes,
    new_deployment,
    new_pool,
    pool_changes,
    queue_deleted,
    template_changes,
)
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.model import Fallback, Holder, Ledger, Pool, Queue, Rate
from push_dispatch.core.schedule import Schedule

POOL = Pool("p", "ecs", limit=5, queues=(Queue("default", 2), Queue("fast", 1, limit=2)))
LEDGER = Ledger("p", 1, tuple(Holder(f"r{n}", 1, "fast", 0) for n in range(3)))


def test_a_new_pool_is_described_with_its_queues_first_served_first() -> None:
    pool = replace(POOL, template="abc", rate=Rate(5, 60), fallbacks=(Fallback("docker", "d"),))
    assert list(new_pool(pool, {"variables": {}}, {"image": "etl:1"})) == [
        "type ecs, limit 5",
        "rate 5 starts in 60 s",
        "hold seconds 30",
        "fallbacks docker (template d)",
        "base job template abc",
        'job variables {"image": "etl:1"}',
        "queue `fast`: priority 1, limit 2",
        "queue `default`: priority 2, no limit",
    ]


def test_nothing_changes_from_a_pool_to_itself() -> None:
    assert list(pool_changes(POOL, POOL, LEDGER)) == []


def test_a_lower_limit_says_how_many_runs_are_above_it() -> None:
    lower = replace(POOL, limit=1, paused=True)
    assert list(pool_changes(POOL, lower, LEDGER)) == [
        "limit 5 → 1: 2 runs finish above the limit, nothing is stopped",
        "paused: nothing starts, 3 runs under way go on",
    ]
    assert list(pool_changes(lower, POOL, LEDGER)) == ["limit 1 → 5", "resumed"]
    assert list(pool_changes(POOL, replace(POOL, limit=None), LEDGER)) == ["limit 5 → none"]


def test_changes_of_a_queue_count_what_it_holds_itself() -> None:
    fast = Queue("fast", 3, limit=1, paused=True, max_waiting=9, rate=Rate(1, 60))
    then = replace(POOL, queues=(Queue("default", 2), fast, Queue("new", 4)))
    found = list(pool_changes(POOL, then, LEDGER))
    assert found[0] == "queue `fast`: priority 1 → 3"
    assert found[1].startswith("queue `fast`: limit 2 → 1: 2 runs finish above the limit")
    assert found[2] == "queue `fast`: paused: nothing starts, 3 runs under way go on"
    assert "queue `fast`: rate none → 1 starts in 60 s" in found
    assert found[-1] == "queue `new`: priority 4, no limit (created)"


def test_the_runs_of_a_queue_that_goes_move() -> None:
    moved = "waiting runs move to `default`"
    assert queue_deleted("fast", 3, more=False) == f"queue `fast` deleted: 3 {moved}"
    assert queue_deleted("fast", 100, more=True) == f"queue `fast` deleted: 100 or more {moved}"


def test_a_template_changes_value_by_value_and_twenty_are_listed() -> None:
    now = {"a": {"b": 1, "gone": True}, "list": [1]}
    then = {"a": {"b": 2}, "list": [1], "new": "x"}
    first, *rest = template_changes(now, then)
    assert first == "base job template: runs that start from now on"
    assert rest == [
        "base job template: a.b 1 → 2",
        "base job template: a.gone true → none",
        "base job template: new none → x",
    ]
    many = list(template_changes({"0": "x"}, {str(n): n for n in range(23)}))
    assert (len(many), many[-1]) == (22, "base job template: and 3 more values")


def test_a_deployment_changes_with_its_schedules() -> None:
    now = Deployment("d", "p", schedules=(Schedule("old", every_seconds=60),), retries=1)
    new = Schedule("new", cron="0 3 * * *", active=False, jitter_seconds=5, parameters={"a": 1})
    then = replace(now, retries=2, schedules=(new,))
    fires = 'cron(0 3 * * ? *) UTC, not active, jitter 5 s, parameters {"a": 1}'
    assert list(deployment_changes(now, then)) == [
        "retries 1 → 2",
        "schedule `old`: rate(1 minute) UTC → none",
        f"schedule `new`: none → {fires}",
    ]
    assert list(new_deployment(then)) == [
        "pool p, queue default",
        "retries 2",
        f"schedule `new`: {fires}",
    ]
