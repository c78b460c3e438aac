"""Which secrets can a run reach? Those of its template, and those that the pool allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from, system_secrets_from
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import change_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid, PushDispatchError, Rejected
from push_dispatch.core.model import Attempt, Run
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.job import job_for
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.shared import secret_named
from push_dispatch.ports.reporter import Reporter
from tests.fakes.world import POOL, World

TEMPLATE = {
    "job_configuration": {
        "command": "{{ command }}",
        "title": "{{ a }}{{ b }}",
        "composed": "{{ secrets.{{ team }} }}",
        "env": {"TOKEN": "{{ secrets.token }}"},
    },
    "variables": {
        "properties": {
            "command": {"type": "string", "default": "run --key {{ secrets.of-pool }}"},
            "a": {"type": "string"},
            "b": {"type": "string"},
            "team": {"type": "string"},
            "reporter": {"type": "string"},
        }
    },
}


@pytest.fixture
def world() -> World:
    return World()


class Secrets:
    """Values that say which secret was read."""

    def read(self, name: str) -> str:
        return f"<{name}>"

    def arn(self, name: str) -> str:
        return f"arn:{name}"

    where = read


def job(
    variables: Mapping[str, Any], *allowed: str, parameters: Mapping[str, Any] | None = None
) -> Job:
    run = Run(
        pool="etl",
        uuid="0199c1f0-0000-7000-8000-000000000001",
        queue="default",
        due=0,
        submitted_at=0,
        order="o",
        variables=variables,
        parameters=parameters or {},
    )
    reporter = Reporter("https://r.example", lambda: "key")
    attempt = Attempt(1, "process")
    return job_for(run, attempt, TEMPLATE, Secrets(), reporter=reporter, allowed=lambda: allowed)


def test_a_template_may_name_any_secret() -> None:
    made = job({}).configuration
    assert made["command"] == ["run", "--key", "<of-pool>"]
    assert made["env"]["TOKEN"] == "<token>"


@pytest.mark.parametrize(
    "variables",
    [
        {"command": "echo {{ secrets.db }}"},
        {"command": "echo {{ secrets.token }}"},
        {"env": {"X": "{{secrets.push-dispatch/report-key}}"}},
        {"env.X": "{{ secrets.db }}"},
        {"a": "{{ secrets.", "b": "db }}"},
        {"a": "{", "b": "{ secrets.db }}"},
        {"team": "db"},
    ],
    ids=["command", "one of the template's", "env", "dots", "two halves", "a brace", "composed"],
)
def test_job_variables_name_no_secret_unless_the_pool_allows_it(variables: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="pool update etl --allow-secret") as caught:
        job(variables)
    assert caught.value.reason == "secret_not_allowed"
    assert "<" in repr(job(variables, "*").configuration)


def test_the_pool_allows_secrets_by_name_or_pattern() -> None:
    received = {"command": "echo {{ secrets.etl/db }}"}
    assert job(received, "etl/*").configuration["command"] == ["echo", "<etl/db>"]
    assert job(received, "x", "etl/db").configuration["command"] == ["echo", "<etl/db>"]
    with pytest.raises(Invalid, match=r"may name db, etl/d only"):
        job(received, "db", "etl/d")


def test_a_mark_cannot_be_forged() -> None:
    with pytest.raises(Rejected, match=r"U\+FDD0"):
        job({"command": "echo \ufdd0db\ufdd0"}, "*")


def test_parameters_are_data() -> None:
    made = job({}, parameters={"text": "{{ secrets.db }}"}).configuration["env"]
    assert json.loads(made["PUSH_DISPATCH_PARAMETERS"]) == {"text": "{{ secrets.db }}"}


def test_the_reporter_takes_a_command_with_a_reference() -> None:
    made = job({"reporter": "sh", "command": "echo {{ secrets.db }}"}, "db").configuration
    assert made["command"][-2:] == ["echo", "<db>"]


# -- at the doors -----------------------------------------------------------------------------


_NAMES_ONE = {"command": "echo {{ secrets.db }}"}


@pytest.mark.parametrize(
    "request_",
    [Request(POOL, variables=_NAMES_ONE), Request(POOL, deployment_variables=_NAMES_ONE)],
    ids=["run", "deployment"],
)
def test_a_submission_is_refused_before_anything_is_stored(world: World, request_: Request) -> None:
    with pytest.raises(Invalid, match=f"pool update {POOL} --allow-secret db") as caught:
        submit(world.ports, request_)
    assert caught.value.reason == "secret_not_allowed"
    assert list(world.store.list_runs(POOL)) == []
    change_pool(world.ports, POOL, lambda p: replace(p, secrets=("db",)))
    assert submit(world.ports, request_).created


def test_a_deployment_and_its_schedules_are_refused(world: World) -> None:
    schedule = Schedule(cron="0 3 * * *", job_variables={"command": "{{ secrets.db }}"})
    for deployment in (
        Deployment("d", POOL, command="echo {{ secrets.db }}"),
        Deployment("d", POOL, job_variables={"env": {"X": "{{ secrets.db }}"}}),
        Deployment("d", POOL, command="x", schedules=(schedule,)),
    ):
        with pytest.raises(PushDispatchError) as caught:
            save_deployment(world.ports, deployment)
        assert caught.value.reason == "secret_not_allowed"


# -- the system's own -------------------------------------------------------------------------


def test_runs_cannot_name_the_systems_secrets(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"db": "1", "system": {"modal": "2"}}))
    environ = {"PUSH_DISPATCH_SECRETS": f"file:{file}"}
    assert secrets_from(environ).read("db") == "1"
    assert system_secrets_from(environ).read("modal") == "2"
    for name in ("modal", "system", "system/modal"):
        with pytest.raises(KeyError):
            secrets_from(environ).read(name)

    environ = {"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SYSTEM_SECRET_modal": "2"}
    assert system_secrets_from(environ).read("modal") == "2"
    with pytest.raises(KeyError):
        secrets_from(environ).read("modal")


@pytest.mark.parametrize(
    ("store", "runs", "system"),
    [
        ("secretsmanager", "push-dispatch/", "push-dispatch/system/"),
        ("secretsmanager", "", "push-dispatch-system/"),
        ("secretsmanager", "push", "push-dispatch-system/"),
        ("ssm", "/mine/", "/mine/"),
    ],
)
def test_a_prefix_of_the_system_among_those_of_runs_is_refused(
    store: str, runs: str, system: str
) -> None:
    environ = {
        "PUSH_DISPATCH_SECRETS": store,
        "PUSH_DISPATCH_SECRETS_PREFIX": runs,
        "PUSH_DISPATCH_SYSTEM_SECRETS_PREFIX": system,
    }
    with pytest.raises(Invalid, match="choose two prefixes"):
        secrets_from(environ)


def test_a_credential_that_has_not_been_moved_is_still_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"modal": "old"}))
    environ = {"TOKEN_NAME": "modal"}
    secrets = system_secrets_from({"PUSH_DISPATCH_SECRETS": f"file:{file}"})
    assert secret_named(secrets, environ, "TOKEN_NAME") == "old"
    assert "docs/security.md" in caplog.text
    file.write_text(json.dumps({"modal": "old", "system": {"modal": "new"}}))
    assert secret_named(secrets, environ, "TOKEN_NAME") == "new"
    file.write_text("{}")
    with pytest.raises(Rejected, match=r"create 'modal' in the object 'system' of .*secrets\.json"):
        secret_named(secrets, environ, "TOKEN_NAME")
