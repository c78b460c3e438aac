"""Is what could never run refused when it is submitted or saved, and not at the push?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pool_checks import check_pool
from push_dispatch.control.pools import create_pool
from push_dispatch.core.deployment import Deployment, variables_of
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Pool, Queue, check_limit, check_priority
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.core.validation import check, check_template
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore


@pytest.fixture
def ports() -> Ports:
    """A pool of each of these types, named after it, with the default template."""
    ids = iter(range(1, 10_000))
    ports = Ports(
        store=MemoryStore(),
        messages=MemoryMessages(),
        clock=lambda: 1_800_000_000_000,
        new_id=lambda: f"0199c1f0-0000-7000-8000-{next(ids):012d}",
        platform=lambda name: pytest.fail("nothing is pushed here"),
        secrets=secrets_from({}),
    )
    for type_ in ("process", "modal", "coiled", "ecs"):
        create_pool(ports, Pool(type_, type_), default_template(type_))
    return ports


def refused(ports: Ports, request: Request) -> str:
    with pytest.raises(Invalid) as caught:
        submit(ports, request, check=check)
    assert list(ports.store.list_runs(request.pool)) == []
    return caught.value.message


# -- commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["process", "modal", "coiled"])
@pytest.mark.parametrize("variables", [{}, {"command": ""}, {"command": "  "}], ids=str)
def test_no_command_where_the_platform_needs_one(
    ports: Ports, pool: str, variables: dict[str, Any]
) -> None:
    assert "command: is missing" in refused(ports, Request(pool, variables=variables))


def test_an_image_may_have_its_own_command(ports: Ports) -> None:
    arn = "arn:aws:iam::123456789012:role/x"
    plain = {"image": "i", "execution_role_arn": arn}
    submit(ports, Request("ecs", variables=plain), check=check)


def test_the_reporter_needs_a_command_everywhere(ports: Ports) -> None:
    variables = {"image": "i", "reporter": "python"}
    assert "the reporter needs one" in refused(ports, Request("ecs", variables=variables))


@pytest.mark.parametrize("pool", ["process", "ecs"])
def test_quotes_that_do_not_close(ports: Ports, pool: str) -> None:
    request = Request(pool, variables={"command": 'echo "open'})
    assert "command: cannot be split into words: no closing quotation" in refused(ports, request)


def test_a_deployment_that_a_schedule_runs_needs_its_command(ports: Ports) -> None:
    daily = (Schedule(cron="@daily"),)
    with pytest.raises(Invalid, match="command: is missing"):
        save_deployment(ports, Deployment("d", "process", schedules=daily))
    save_deployment(ports, Deployment("d", "process"))  # a run may give it
    with pytest.raises(Invalid, match="no closing quotation"):
        save_deployment(ports, Deployment("d", "process", command="echo 'it"))


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["retries", "crash_retries", "retry_delay_seconds", "timeout_seconds", "start_within"],
)
@pytest.mark.parametrize("value", [1.5, 2.0, True, "3", -1])
def test_numbers_of_a_run_are_integers(ports: Ports, name: str, value: Any) -> None:
    request = Request("process", variables={"command": "true"}, **{name: value})
    assert "is not valid: an integer" in refused(ports, request)
    with pytest.raises(Invalid, match="an integer"):
        save_deployment(ports, Deployment("d", "process", command="true", **{name: value}))


@pytest.mark.parametrize("value", [1.5, 2.0, True, "3"])
def test_limits_and_priorities_are_integers(value: Any) -> None:
    with pytest.raises(Invalid):
        check_limit(value, "x")
    with pytest.raises(Invalid):
        check_priority(value, "x")
    pool = Pool("p", "process", queues=(Queue("default", 1, limit=value),))
    with pytest.raises(Invalid):
        check_pool(pool, {})


# -- idempotency keys -----------------------------------------------------------------------------


def test_the_same_key_with_another_content_is_said(ports: Ports) -> None:
    def ask(**fields: Any) -> tuple[bool, tuple[str, ...]]:
        request = Request("process", idempotency_key="k", **fields)
        done = submit(ports, request, check=check)
        return done.created, done.differs

    one = {"command": "true", "env": {"A": "1"}}
    assert ask(variables=one, retries=1) == (True, ())
    assert ask(variables=one, retries=1) == (False, ())
    other = {"command": "false", "env": {"A": "1"}, "stream_output": True}
    assert ask(variables=other, tags=("t",)) == (
        False,
        ("command", "stream_output", "tags", "retries"),
    )


# -- x-enforced -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"x-enforced": ["a"], "properties": {"a": {"type": "string"}}}, "variables.x-enforced"),
        ({"properties": {"x-enforced": ["a"], "a": {}}}, "variables.properties.x-enforced"),
        (
            {"properties": {"a": {}}, "definitions": {"A": {"x-enforced": True}}},
            "variables.definitions.A.x-enforced",
        ),
        (
            {"properties": {"a": {"anyOf": [{"x-enforced": True}]}}},
            "variables.properties.a.anyOf[0].x-enforced",
        ),
    ],
)
def test_a_flag_that_would_enforce_nothing_is_refused(schema: dict[str, Any], path: str) -> None:
    template = {"job_configuration": {"a": "{{ a }}"}, "variables": schema}
    with pytest.raises(Invalid, match="x-enforced") as caught:
        check_template(template)
    assert path in caught.value.message


def test_flags_of_properties_and_of_those_inside_are_taken() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string", "x-enforced": ["x"]}}}
    schema = {"properties": {"a": inner, "c": {"x-enforced": True, "default": {"x-enforced": 1}}}}
    job = {"a": "{{ a }}", "c": "{{ c }}"}
    check_template({"job_configuration": job, "variables": schema})


# -- entrypoints ----------------------------------------------------------------------------------


MODULE = """
import json, sys
from helper import SUFFIX

class Flow:
    @staticmethod
    def run(**parameters): print(json.dumps(parameters) + SUFFIX, __name__)

def main(day, *, fast=False): Flow.run(day=day, fast=fast)
"""


@pytest.mark.parametrize(
    "entrypoint",
    ["flows/etl.py:main", "./flows/etl.py:main", "flows/etl.py:Flow.run", "flows/e-t l.py:main"],
)
def test_an_entrypoint_of_prefect_is_found_by_its_path(tmp_path: Path, entrypoint: str) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "helper.py").write_text("SUFFIX = '!'")
    for name in ("etl.py", "e-t l.py"):
        (folder / name).write_text(MODULE)
    assert called(tmp_path, entrypoint).startswith('{"day": 1, "fast": true}!')


def test_an_entrypoint_as_python_finds_it(tmp_path: Path) -> None:
    package = tmp_path / "flows"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "etl.py").write_text(MODULE.replace("from helper", "from flows.helper"))
    (package / "helper.py").write_text("SUFFIX = '!'")
    assert called(tmp_path, "flows.etl:main") == '{"day": 1, "fast": true}! flows.etl\n'


@pytest.mark.parametrize(
    "entrypoint", ["flows/etl:main", "flows/etl.py:", "etl:not-a-name", ":main", "etl.py:a b"]
)
def test_an_entrypoint_that_cannot_be_loaded_is_refused(ports: Ports, entrypoint: str) -> None:
    with pytest.raises(Invalid, match="entrypoint"):
        save_deployment(ports, Deployment("d", "process", entrypoint=entrypoint))


def called(folder: Path, entrypoint: str) -> str:
    """What the process prints."""
    command = variables_of(Deployment("d", "p", entrypoint=entrypoint))["command"]
    done = subprocess.run(
        ["sh", "-c", command.replace("python3", sys.executable, 1)],
        cwd=folder,
        env={"PUSH_DISPATCH_PARAMETERS": json.dumps({"day": 1, "fast": True})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
