"""Does `apply` do what its plan says, all of it or nothing?"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.apply import carry_out, plan
from push_dispatch.control.declaration import Declaration, read
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import change_pool, create_pool, create_queue, delete_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid, PushDispatchError, Refused
from push_dispatch.core.model import Pool, Queue
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports
from push_dispatch.ports.schedules import UnknownSchedules
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

PROCESS = {"type": "process"}


@pytest.fixture
def ports() -> Ports:
    ids = iter(range(1, 10_000))
    return Ports(
        store=MemoryStore(),
        messages=MemoryMessages(),
        clock=lambda: 1_800_000_000_000,
        new_id=lambda: f"0199c1f0-0000-7000-8000-{next(ids):012d}",
        platform=lambda name: pytest.fail("nothing is pushed here"),
        secrets=secrets_from({}),
    )


def declared(pools: dict[str, Any], deployments: dict[str, Any] | None = None) -> Declaration:
    document = {"pools": pools, "deployments": deployments or {}}
    return read(document, default_template, relative_to=Path())


def applied(ports: Ports, declaration: Declaration, **options: Any) -> list[str]:
    """Carry it out, twice; what the plan has said."""
    steps = plan(ports, declaration, **options)
    for step in steps:
        carry_out(ports, step)
    assert plan(ports, declaration, **options) == []
    return [f"{step.action} {step.kind} {step.name}: {c}" for step in steps for c in step.changes]


def queues(ports: Ports, pool: str = "p") -> dict[str, int]:
    found = ports.store.pool(pool)
    assert found is not None
    return {queue.name: queue.priority for queue in found.in_order}


def everything(ports: Ports) -> Any:
    names = ports.store.pool_names()
    return [ports.store.pool(name) for name in names], ports.store.deployments()


# -- queues -------------------------------------------------------------------------------------


def test_the_implicit_default_queue_is_served_last(ports: Ports) -> None:
    entry = {"urgent": {"priority": 1}, "normal": {"priority": 5}, "backfill": {"priority": 10}}
    applied(ports, declared({"p": {**PROCESS, "queues": entry}}))
    assert queues(ports) == {"urgent": 1, "normal": 5, "backfill": 10, "default": 11}


def test_a_declared_default_queue_keeps_its_place(ports: Ports) -> None:
    applied(ports, declared({"p": {**PROCESS, "queues": {"a": {"priority": 7}, "default": {}}}}))
    assert queues(ports) == {"default": 1, "a": 7}


def test_default_moves_behind_queues_that_are_declared_later(ports: Ports) -> None:
    applied(ports, declared({"p": PROCESS}))
    reported = applied(ports, declared({"p": {**PROCESS, "queues": {"a": {"priority": 3}}}}))
    assert queues(ports) == {"a": 3, "default": 4}
    assert "update pool p: queue `default`: priority 1 → 4" in reported


def test_queues_that_are_not_in_the_file_stay_without_prune(ports: Ports) -> None:
    create_pool(ports, Pool("p", "process"), default_template("process"))
    create_queue(ports, "p", Queue("mine", 1, limit=3, description="by hand"), priority=2)
    before = ports.store.pool("p")
    declaration = declared({"p": {**PROCESS, "queues": {"a": {"priority": 2}}}})
    applied(ports, declaration)
    after = ports.store.pool("p")
    assert before is not None
    assert after is not None
    assert queues(ports) == {"a": 2, "mine": 3, "default": 4}
    assert after.queue("mine") == Queue("mine", 3, limit=3, description="by hand")
    reported = applied(ports, declaration, prune=True)
    assert queues(ports) == {"a": 2, "default": 4}
    assert reported == ["update pool p: queue `mine` deleted: 0 waiting runs move to `default`"]


# -- prune --------------------------------------------------------------------------------------


def test_an_empty_file_prunes_only_with_a_flag_of_its_own(ports: Ports) -> None:
    applied(ports, declared({"p": PROCESS}))
    with pytest.raises(Refused) as caught:
        plan(ports, declared({}), prune=True)
    assert caught.value.reason == "nothing_declared"
    assert applied(ports, declared({}), prune=True, allow_empty=True) == [
        "delete pool p: with its queues"
    ]
    assert ports.store.pool_names() == []


def test_a_prune_that_cannot_finish_changes_nothing(ports: Ports) -> None:
    everything_declared = declared(
        {"kept": PROCESS, "busy": PROCESS, "idle": PROCESS, "waits": PROCESS},
        {"d": {"pool": "kept", "command": "true"}},
    )
    applied(ports, everything_declared)
    submit(ports, Request("busy", variables={"command": "true"}))
    submit(ports, Request("waits", variables={"command": "true"}))
    before = everything(ports)
    less = declared({"kept": {**PROCESS, "limit": 1}})
    with pytest.raises(Refused) as caught:
        plan(ports, less, prune=True)
    assert caught.value.reason == "pool_not_empty"
    assert "pool 'busy': 1 runs wait" in caught.value.message
    assert "pool 'waits': 1 runs wait" in caught.value.message
    assert everything(ports) == before


def test_a_pool_that_a_declared_deployment_names_is_not_pruned(ports: Ports) -> None:
    both = {"d": {"pool": "p", "command": "true"}}
    applied(ports, declared({"p": PROCESS, "q": PROCESS}, both))
    with pytest.raises(Refused, match="names it") as caught:
        plan(ports, declared({"q": PROCESS}, both), prune=True)
    assert caught.value.reason == "pool_in_use"


def test_a_pool_that_deployments_name_is_deleted_by_force_only(ports: Ports) -> None:
    applied(ports, declared({"p": PROCESS}, {"nightly": {"pool": "p", "command": "true"}}))
    with pytest.raises(Refused, match="nightly") as caught:
        delete_pool(ports, "p")
    assert caught.value.reason == "pool_in_use"
    delete_pool(ports, "p", force=True)
    assert ports.store.pool_names() == []


def test_schedules_that_cannot_be_reached_are_seen_before_anything_changes(ports: Ports) -> None:
    applied(ports, declared({"p": PROCESS}))
    scheduled = Deployment("d", "p", command="true", schedules=(Schedule(cron="* * * * *"),))
    save_deployment(ports, scheduled)
    object.__setattr__(ports, "schedules", UnknownSchedules())
    with pytest.raises(Refused) as caught:
        plan(ports, declared({"p": {**PROCESS, "limit": 3}}), prune=True)
    assert caught.value.reason == "schedules_unknown"


# -- the plan -----------------------------------------------------------------------------------


def test_a_plan_shows_every_value_of_what_is_new(ports: Ports) -> None:
    rate = {"starts": 100, "period_seconds": 60}
    template = deepcopy(default_template("process"))
    template["variables"]["properties"]["working_dir"]["x-enforced"] = True
    pool = {
        **PROCESS,
        "limit": 4,
        "paused": True,
        "key_limit": 2,
        "rate": rate,
        "platform_rate": rate,
        "description": "night work",
        "base_job_template": template,
        "fallbacks": [{"type": "ecs"}],
        "queues": {"a": {"limit": 1, "key_limit": 3, "rate": rate, "paused": True}},
    }
    deployment = {
        "pool": "p",
        "command": "python job.py",
        "retries": 3,
        "timeout_seconds": 600,
        "limit": 2,
        "collision": "CANCEL_NEW",
        "parameters": {"day": 1},
        "job_variables": {"env": {"A": "b"}},
        "schedules": [{"cron": "0 9 * * *", "jitter_seconds": 30, "parameters": {"x": 1}}],
    }
    reported = "\n".join(applied(ports, declared({"p": pool}, {"d": deployment})))
    for text in (
        "type process, limit 4",
        "paused: nothing starts",
        "key limit 2",
        "\ncreate pool p: rate 100 starts in 60 s",
        "platform rate 100 starts in 60 s",
        "description night work",
        "fallbacks ecs (template ",
        "variable working_dir is enforced",
        "queue `a`: priority 1, limit 1, paused, key limit 3, rate 100 starts in 60 s",
        "command python job.py",
        "retries 3",
        "timeout seconds 600",
        "\ncreate deployment d: limit 2",
        "collision CANCEL_NEW",
        'parameters {"day": 1}',
        'job variables {"env": {"A": "b"}}',
        'schedule `default`: cron(0 9 * * ? *) UTC, jitter 30 s, parameters {"x": 1}',
    ):
        assert text in reported, reported


def test_a_plan_shows_every_value_that_changes(ports: Ports) -> None:
    before = {"pool": "p", "command": "a", "schedules": [{"cron": "0 9 * * *"}]}
    applied(ports, declared({"p": PROCESS}, {"d": before}))
    template = deepcopy(default_template("process"))
    template["variables"]["properties"]["working_dir"]["default"] = "/srv"
    rate = {"starts": 1, "period_seconds": 60}
    pool = {**PROCESS, "rate": rate, "base_job_template": template}
    pool["queues"] = {"default": {"rate": rate, "key_limit": 1}}
    after = {"pool": "p", "command": "b", "limit": 1, "schedules": [{"cron": "0 8 * * *"}]}
    reported = applied(ports, declared({"p": pool}, {"d": after}))
    for text in (
        "update pool p: rate none → 1 starts in 60 s",
        "update pool p: queue `default`: key limit none → 1",
        "update pool p: queue `default`: rate none → 1 starts in 60 s",
        "update pool p: base job template: variables.properties.working_dir.default none → /srv",
        "update deployment d: command a → b",
        "update deployment d: limit none → 1",
        "update deployment d: schedule `default`: cron(0 9 * * ? *) UTC → cron(0 8 * * ? *) UTC",
    ):
        assert text in reported, reported


def test_a_pool_sets_defaults_of_its_templates_variables(ports: Ports) -> None:
    with_image = {"type": "docker", "job_variables": {"image": "etl:1"}}
    reported = applied(ports, declared({"p": with_image}, {"d": {"pool": "p", "command": "true"}}))
    assert 'create pool p: job variables {"image": "etl:1"}' in reported
    stored = ports.store.pool("p")
    assert stored is not None
    template = ports.store.template("p", stored.template) or {}
    assert template["variables"]["properties"]["image"]["default"] == "etl:1"
    with pytest.raises(Invalid, match=r"pools\.p\.job_variables: .*'imgae'.*'image'"):
        declared({"p": {"type": "docker", "job_variables": {"imgae": "etl:1"}}})


def test_everything_that_is_wrong_is_said_at_once_with_its_path(ports: Ports) -> None:
    wrong = declared(
        {"p": PROCESS},
        {
            "a": {"pool": "p", "queue": "nope", "command": "true"},
            "b": {"pool": "nowhere", "command": "true"},
            "c": {"pool": "p", "command": "true", "job_variables": {"imgae": "x"}},
            "fine": {"pool": "p", "command": "true"},
        },
    )
    with pytest.raises(Invalid) as caught:
        plan(ports, wrong)
    reported = caught.value.message
    assert [f"deployments.{name}: " in reported for name in ("a", "b", "c", "fine")] == [
        True,
        True,
        True,
        False,
    ]
    assert ports.store.pool_names() == []
    one = declared({"p": PROCESS}, {"a": {"pool": "p", "queue": "nope", "command": "true"}})
    with pytest.raises(PushDispatchError, match=r"deployments\.a: ") as alone:
        plan(ports, one)
    assert alone.value.reason == "queue_not_found"


def test_a_change_of_the_pool_meanwhile_is_kept(ports: Ports) -> None:
    """What was made by hand between plan and apply is not deleted: the plan has not shown it."""
    applied(ports, declared({"p": PROCESS}))
    steps = plan(ports, declared({"p": {**PROCESS, "limit": 3}}), prune=True)
    create_queue(ports, "p", Queue("new", 1), priority=None)
    change_pool(ports, "p", lambda p: p)
    for step in steps:
        carry_out(ports, step)
    assert queues(ports) == {"default": 1, "new": 2}


# -- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {"prefect-version": "3.0.0", "name": "etl"},
        {"deployments": [{"name": "d", "entrypoint": "flows/etl.py:main"}]},
    ],
)
def test_a_project_file_of_prefect_says_what_to_write_instead(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="project file of Prefect") as caught:
        read(document, default_template, relative_to=Path())
    assert "entrypoint: flows/etl.py:main" in caught.value.message
