"""Are containers, and what the fake engine shows of them, what the Engine's own description of its
API allows? `.ci/steps/22-engine-schema.sh` gets the description."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.platforms.docker import Docker
from push_dispatch.platforms.templates import default_template
from tests.fakes.docker import FakeDocker

pytestmark = pytest.mark.slow

FILE = Path(__file__).parents[2] / ".envs/engine/swagger.yaml"
RUN = "pool.01999999-0000-7000-8000-000000000001"
#: Job variables of the template, one set a container.
VARIABLES: tuple[Mapping[str, Any], ...] = (
    {},
    {"command": "sh -c 'exit 3'", "env": {"A": "1", "B": {"c": [1]}}, "labels": {"team": "data"}},
    {"networks": ["one"]},
    {"network_mode": "host"},
    {"volumes": ["/a:/b:ro", "data:/data"]},
    {"mem_limit": "1g", "memswap_limit": "2g", "privileged": True},
    {"container_create_kwargs": {"shm_size": "64m", "extra_hosts": ["a:1.2.3.4"], "user": "1000"}},
    {"container_create_kwargs": {"cap_add": ["SYS_PTRACE"], "ulimits": [{"Name": "n", "Soft": 1}]}},
)


class Engine:
    """The description, with schemas that allow nothing that they do not name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._definitions = {
            name: self._strict(schema) for name, schema in document["definitions"].items()
        }

    def problems(self, value: Any, method: str, path: str) -> list[str]:
        """What is wrong with the body of a request (POST) or its answer (GET)."""
        described = self._document["paths"][path][method]
        if method == "post":
            [schema] = [p["schema"] for p in described["parameters"] if p["in"] == "body"]
        else:
            schema = next(v["schema"] for k, v in described["responses"].items() if int(k) == 200)
        whole = self._strict(schema) | {"definitions": self._definitions}
        found = jsonschema.Draft4Validator(whole).iter_errors(_without_nulls(value))
        return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in found]

    def _strict(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        made = copy.deepcopy(dict(schema))
        for part in made.pop("allOf", ()):
            named = (
                self._document["definitions"][part["$ref"].rpartition("/")[2]]
                if "$ref" in part
                else part
            )
            made["properties"] = {**made.get("properties", {}), **self._strict(named)["properties"]}
        if made.get("properties"):
            made["properties"] = {k: self._strict(v) for k, v in made["properties"].items()}
            made.setdefault("additionalProperties", False)
        if isinstance(made.get("items"), Mapping):
            made["items"] = self._strict(made["items"])
        made.pop("format", None)
        return made


@pytest.fixture(scope="module")
def engine() -> Engine:
    if not FILE.exists():
        pytest.skip("the Engine's description is not here: run .ci/steps/22-engine-schema.sh")
    return Engine(yaml.safe_load(FILE.read_text("utf-8")))


@pytest.fixture
def fake() -> Iterator[FakeDocker]:
    with FakeDocker() as fake:
        yield fake


@pytest.mark.parametrize("variables", VARIABLES)
def test_a_container_is_one_of_the_engine(
    variables: Mapping[str, Any], engine: Engine, fake: FakeDocker
) -> None:
    job = _job(variables)
    Docker(fake.environ).push(job)
    [body] = fake.requests(job.name)
    assert engine.problems(body, "post", "/containers/create") == []


def test_the_fake_shows_what_an_engine_shows(engine: Engine, fake: FakeDocker) -> None:
    job = _job({"env": {"A": "1"}})
    docker = Docker(fake.environ)
    handle = docker.push(job)
    client = docker._client
    shown = [client.api.containers(all=True), client.api.inspect_container(handle)]
    fake.finish(job.name, 3)
    docker.observe([Watched(handle, RUN, 1)])
    shown += [client.api.containers(all=True), client.api.inspect_container(handle)]
    for value in shown:
        path = "/containers/json" if isinstance(value, list) else "/containers/{id}/json"
        assert engine.problems(value, "get", path) == []


def test_what_the_engine_does_not_know_is_found(engine: Engine) -> None:
    body = {"Image": "job:1", "Cmd": "text", "HostConfig": {"Memery": 1, "Memory": "1g"}}
    found = engine.problems(body, "post", "/containers/create")
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "Cmd", "HostConfig", "HostConfig/Memory",
    ]  # fmt: skip


def _job(variables: Mapping[str, Any]) -> Job:
    layer = Layer("run", {"image": "job:1", **variables})
    configuration = render(default_template("docker"), [layer]).configuration
    return Job(f"pd-{'0' * 32}-1", RUN, "pool", "docker", 1, configuration)


def _without_nulls(value: Any) -> Any:
    """docker-py sends nulls for what is not set."""
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
