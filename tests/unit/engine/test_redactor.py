"""Does a secret's value stay out of what a push says, however an error spells it?"""

from __future__ import annotations

import base64
import json
import logging
import shlex
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import NoCapacity, Rejected, Uncertain
from push_dispatch.core.model import RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.redactor import MASK, Redactor
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.base import Job
from tests.fakes.memory_platform import MemoryPlatform
from tests.fakes.world import POOL, World

CANARY = "S3cr3t'\"C4n4ry\\ of the/mine"


def redactor(value: str) -> Redactor:
    found = Redactor(
        secrets_from({"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SECRET_x": value})
    )
    assert found.read("x") == value
    return found


@pytest.mark.parametrize(
    "spelled",
    [
        CANARY,
        repr(CANARY),
        json.dumps({"a": CANARY}),
        shlex.quote(CANARY),
        quote(CANARY, safe=""),
        base64.b64encode(CANARY.encode()).decode(),
        f"cannot be split: {CANARY[:12]}…",
        f"no such file {CANARY[8:]}",
    ],
)
def test_a_value_is_masked_however_it_is_spelled(spelled: str) -> None:
    text = redactor(CANARY).mask(f"before {spelled} after")
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert MASK in text
    for start in range(len(CANARY) - 8):
        assert CANARY[start : start + 8] not in text


@given(st.text(min_size=3, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_value_is_left(value: str, before: str, after: str) -> None:
    text = redactor(value).mask(before + value + after).replace(MASK, "\0")
    assert value not in text or value in MASK


def test_what_is_no_secret_stays() -> None:
    assert redactor("1").mask("exit code 1") == "exit code 1"
    assert Redactor(secrets_from({"PUSH_DISPATCH_SECRETS": "env"})).mask("text") == "text"


@pytest.mark.parametrize(
    "kind", [Rejected, NoCapacity, Uncertain, ValueError], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("late", [False, True])
def test_errors_of_a_platform_are_kept_and_logged_without_secrets(
    kind: type[Exception],
    late: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    properties = {"env": {"type": "object"}}
    template = {"job_configuration": {"env": "{{ env }}"}, "variables": {"properties": properties}}
    monkeypatch.setattr("tests.fakes.world.TEMPLATE", template)

    class Indiscreet(MemoryPlatform):
        def push(self, job: Job) -> str:
            try:
                raise RuntimeError(job.configuration)
            except RuntimeError as error:
                raise kind(f"not with {job.configuration['env']['KEY']}") from error

    world = World(platform=Indiscreet())
    change_pool(world.ports, POOL, lambda pool: replace(pool, secrets=("x",)))
    environ = {"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SECRET_x": CANARY}
    world.ports = replace(world.ports, secrets=secrets_from(environ))
    submit(world.ports, Request(POOL, variables={"env": {"KEY": "{{ secrets.x }}"}}))
    with caplog.at_level(logging.DEBUG):
        for _ in range(4):
            world.deliver_all()
            world.now += 4_000_000 if late else 1000
    [run] = world.runs()
    kept = f"{run} {world.mail.waiting} {caplog.text}"
    for start in range(len(CANARY) - 8):
        assert CANARY[start : start + 8] not in kept
    if kind is Rejected:
        assert (run.state, run.message) == (RunState.CRASHED, f"not with {MASK}")


def test_the_reporters_token_is_a_secret_too() -> None:
    token = "0123456789abcdef" * 4
    found = Redactor(secrets_from({"PUSH_DISPATCH_SECRETS": "env"}))
    found.add(token)
    assert token not in found.masked(Rejected(f"{{'PUSH_DISPATCH_REPORT_TOKEN': '{token}'}}"))
