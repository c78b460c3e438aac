"""What becomes of a secret in a command, and of values that are no text?"""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from push_dispatch.adapters.secret_stores import FileSecrets
from push_dispatch.control.pools import create_pool
from push_dispatch.core.errors import Rejected
from push_dispatch.core.model import Attempt, Pool, Run
from push_dispatch.core.request import Request
from push_dispatch.core.secret_references import resolve_secrets, split
from push_dispatch.engine.job import job_for
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.base import Capabilities
from tests.fakes.memory_platform import MemoryPlatform
from tests.fakes.world import World

STORED = {"PW": "hunter2 it's", "SP": "two words", "OBJ": {"user": "ä"}, "YES": True, "NONE": None}


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(STORED))
    return FileSecrets(path)


def job(secrets: FileSecrets, command: Any, **more: Any) -> Any:
    template = {"job_configuration": {"command": "{{ command }}", "env": "{{ env }}", **more}}
    properties: dict[str, Any] = {"command": {}, "env": {}, "reporter": {}}
    template["variables"] = {"type": "object", "properties": properties}
    run = Run(
        "etl", "u", "default", due=1, submitted_at=1, order="u", variables={"command": command}
    )
    return job_for(run, Attempt(1, "process"), template, secrets, allowed=lambda: ("*",))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("printf <%s> --password={{ secrets.PW }}", ["printf", "<%s>", "--password=hunter2 it's"]),
        ("printf {{ secrets.SP }} {{secrets.PW}}", ["printf", "two words", "hunter2 it's"]),
        ("printf '{{ secrets.SP }}' a{{ secrets.PW }}b", ["printf", "two words", "ahunter2 it'sb"]),
        (["printf", "{{ secrets.SP }}"], ["printf", "two words"]),
        ("{{ secrets.SP }}", ["two words"]),
        ("no 'secret here'", "no 'secret here'"),
    ],
)  # fmt: skip
def test_one_secret_is_one_word_or_part_of_one(
    secrets: FileSecrets, command: Any, expected: Any
) -> None:
    assert job(secrets, command).configuration["command"] == expected


def test_a_command_that_cannot_be_split_is_quoted_without_its_secret(secrets: FileSecrets) -> None:
    with pytest.raises(Rejected, match="cannot be split") as caught:
        job(secrets, "printf 'open {{ secrets.PW }}")
    assert caught.value.reason == "template_invalid"
    assert "{{ secrets.PW }}" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_commands_are_known_wherever_a_template_has_them(secrets: FileSecrets) -> None:
    more = {"job_body": {"containers": [{"args": "x {{ secrets.SP }}", "command": None}]}}
    made = job(secrets, "true", **more).configuration["job_body"]
    assert made["containers"][0]["args"] == ["x", "two words"]


@pytest.mark.parametrize("key", ["env", "environment", "labels"])
def test_a_variable_called_command_is_no_command(key: str) -> None:
    given = {key: {"command": "x {{ secrets.SP }}"}}
    assert resolve_secrets(given, lambda _: "two words") == {key: {"command": "x two words"}}


def test_the_reporter_keeps_a_secret_in_one_word(secrets: FileSecrets) -> None:
    from push_dispatch.engine.reporter import wrapped

    text = wrapped("sh", "printf {{ secrets.PW }}")
    filled = resolve_secrets({"command": text}, secrets.read)["command"]
    assert filled[-2:] == ["printf", "hunter2 it's"]


@pytest.mark.parametrize("command", ["a 'b c' \"\"", "\\ x", "a\\\nb", "", "ä \t b"])
def test_without_secrets_it_splits_as_a_shell_does(command: str) -> None:
    assert split(command) == shlex.split(command)


def test_a_secret_that_is_no_text_is_json_and_null_is_none(secrets: FileSecrets) -> None:
    assert secrets.read("OBJ") == '{"user": "ä"}'
    assert secrets.read("YES") == "true"
    with pytest.raises(KeyError):
        secrets.read("NONE")


def test_an_environment_that_is_no_object_is_final_and_named(secrets: FileSecrets) -> None:
    with pytest.raises(Rejected, match="env is not an object") as caught:
        job(secrets, "true", env=["A=1"])
    assert caught.value.reason == "template_invalid"


class Asked(FileSecrets):
    """As the stores of AWS: of what it does not have, it has no ARN either."""

    def arn(self, name: str) -> str:
        return f"arn:{self.read(name)[:0]}"


class ReadsItsOwn(MemoryPlatform):
    """Has a store of its own, as Cloud Run has."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        finds_by_name=True, cleans_up=True, passes_secrets=True, own_secrets=r"projects/\w+"
    )


def test_the_push_leaves_a_secret_of_the_platform_s_own_store_to_it(tmp_path: Path) -> None:
    world = World(platform=ReadsItsOwn())
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(STORED))
    world.ports = replace(world.ports, secrets=Asked(path))
    properties: dict[str, Any] = {"command": {}, "env": {}}
    template = {
        "job_configuration": {"command": "true", "env": "{{ env }}"},
        "variables": {"type": "object", "properties": properties},
    }
    create_pool(world.ports, Pool("q", "process", secrets=("*",)), template)
    env = {"OWN": "{{ secrets.projects/db }}", "URL": "u:{{ secrets.PW }}@h", "A": "1"}
    submit(world.ports, Request("q", variables={"env": env}))
    world.deliver_all()
    [container] = world.platform.containers.values()
    secrets = container.job.secrets
    assert (secrets["OWN"].name, secrets["OWN"].arn) == ("projects/db", "")
    assert secrets["URL"].read() == "u:hunter2 it's@h"
    assert set(secrets) == {"OWN", "URL"}
    assert "hunter2" not in json.dumps(dict(container.job.configuration))
