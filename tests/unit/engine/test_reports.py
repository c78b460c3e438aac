"""Whom does the other end believe, and what becomes of what it hears?"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.core.errors import Rejected
from push_dispatch.core.events import Stop
from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.engine.job import job_for
from push_dispatch.engine.submit import submit
from push_dispatch.engine.transition import transition
from push_dispatch.handlers.report import handle
from push_dispatch.ports.messages import Poll
from push_dispatch.ports.reporter import Reporter, token_for
from tests.fakes.world import POOL, World

KEY = "the stack's key"
REPORTER = Reporter("https://reports.example.com/", lambda: KEY)


@pytest.fixture
def world() -> World:
    """One run whose attempt was pushed."""
    world = World()
    world.ports = replace(world.ports, reporter=REPORTER)
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    return world


def the_run(world: World) -> Run:
    [run] = world.runs()
    return run


def text(
    world: World,
    what: str,
    *,
    by: str = "a",
    token: str | None = None,
    attempt: int = 1,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    run = the_run(world)
    token = token_for(KEY, run.id, attempt) if token is None else token
    body = json.dumps({"run": run.id, "attempt": attempt, "what": what, "by": by, **more})
    event = {"headers": {"Authorization": f"Bearer {token}"}, "body": body}
    answer = handle(world.ports, event)
    return answer["statusCode"], json.loads(answer["body"])


GO = (200, {"go": True, "stop": False})
HALT = (200, {"go": False, "stop": False})


def test_the_first_copy_may_run_and_no_other(world: World) -> None:
    assert text(world, "claim", by="a") == GO
    assert text(world, "claim", by="b") == HALT
    assert text(world, "claim", by="a") == GO, "its reply got lost"
    assert the_run(world).state is RunState.RUNNING


def test_its_end_is_the_runs_end_and_gives_the_slot_back(world: World) -> None:
    text(world, "claim")
    assert text(world, "end", exit_code=0)[0] == 200
    assert (the_run(world).state, the_run(world).reason) == (RunState.COMPLETED, "completed")
    world.deliver_changes(10)
    assert world.store.ledger(POOL).holders == ()


def test_the_end_of_another_copy_ends_nothing(world: World) -> None:
    text(world, "claim", by="a")
    text(world, "end", by="b", exit_code=76)
    assert the_run(world).state is RunState.RUNNING


def test_what_the_platform_keeps_is_cleaned_up_once_it_has_ended(world: World) -> None:
    text(world, "claim")
    text(world, "end", exit_code=3)
    [container] = world.platform.containers.values()
    for _ in range(3):
        world.now += 60_000
        world.deliver_all()
        assert world.platform.containers, "it has not ended"
        assert any(isinstance(d.message, Poll) for d in world.mail.waiting)
    world.platform.end(container, 3)
    world.platform.events.clear()
    world.now += 60_000
    world.deliver_all()
    assert world.platform.containers == {}
    assert not any(isinstance(d.message, Poll) for d in world.mail.waiting)
    assert the_run(world).attempts[0].exit_code == 3


def test_a_cancellation_comes_with_the_next_answer(world: World) -> None:
    text(world, "claim")
    assert text(world, "beat") == GO
    run = the_run(world)
    transition(world.ports, POOL, run.uuid, Stop(Reason.CANCELLED_BY_USER))
    assert text(world, "beat") == (200, {"go": True, "stop": True})
    text(world, "end", exit_code=143)
    assert the_run(world).state is RunState.CANCELLED


def test_one_that_was_cancelled_first_never_runs(world: World) -> None:
    transition(world.ports, POOL, the_run(world).uuid, Stop(Reason.CANCELLED_BY_USER))
    assert text(world, "claim") == (200, {"go": False, "stop": True})


def test_an_attempt_of_the_past_never_runs(world: World) -> None:
    text(world, "claim")
    text(world, "end", exit_code=0)
    assert text(world, "claim", by="late") == (200, {"go": False, "stop": True})


@pytest.mark.parametrize("token", ["", "nonsense", token_for("another key", "x", 1)])
def test_a_wrong_token_is_refused(world: World, token: str) -> None:
    status, body = text(world, "claim", token=token)
    assert (status, body["reason"]) == (401, "access_denied")
    assert the_run(world).state is RunState.PENDING


def test_the_token_of_one_attempt_is_not_that_of_the_next(world: World) -> None:
    token = token_for(KEY, the_run(world).id, 1)
    assert text(world, "end", token=token, attempt=2, exit_code=0)[0] == 401


def test_a_run_that_is_gone_is_not_found(world: World) -> None:
    run_id = f"{POOL}.0199c1f0-0000-7000-8000-ffffffffffff"
    body = json.dumps({"run": run_id, "attempt": 1, "what": "claim", "by": "a"})
    headers = {"authorization": f"Bearer {token_for(KEY, run_id, 1)}"}
    encoded = base64.b64encode(body.encode()).decode()
    event = {"headers": headers, "body": encoded, "isBase64Encoded": True}
    assert handle(world.ports, event)["statusCode"] == 404


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"run": "x", "attempt": "y", "what": "claim", "by": "a"}']
)
def test_what_is_no_report_is_told_so(world: World, body: str) -> None:
    answer = handle(world.ports, {"headers": {}, "body": body})
    assert answer["statusCode"] == 400
    assert "must be a report" in json.loads(answer["body"])["message"]


def test_a_body_that_is_too_long_is_not_even_read(world: World) -> None:
    """Anybody may call the URL."""
    answer = handle(world.ports, {"headers": {}, "body": "[" * 5000})
    assert answer["statusCode"] == 400
    assert "4096" in json.loads(answer["body"])["message"]


def test_an_end_without_a_code_and_an_unknown_word_are_told_so(world: World) -> None:
    text(world, "claim")
    assert text(world, "end")[0] == 400
    assert text(world, "dance")[0] == 400


# -- what is sent to the platform ----------------------------------------------------------------

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "properties": {
            "command": {"type": "string"},
            "env": {"type": "object", "default": {"A": "1"}},
            "reporter": {"type": "string"},
        }
    },
}
RUN = Run(POOL, "0199c1f0-0000-7000-8000-000000000001", "default", 1, 1, "o")
ATTEMPT = Attempt(2, "process", type="process", template="t", claim="c", claimed_at=1)


def job(
    reporter: Reporter | None = REPORTER, template: Any = TEMPLATE, kind: str = "", **variables: Any
) -> Any:
    run = replace(RUN, variables=variables | ({"reporter": kind} if kind else {}))
    return job_for(run, ATTEMPT, template, secrets_from({}), reporter=reporter)


def test_the_command_is_wrapped_and_knows_where_to_report() -> None:
    made = job(command="echo 'a b'", kind="python").configuration
    assert made["command"].startswith("python3 -c ")
    assert made["command"].endswith("echo 'a b'")
    assert made["env"]["PUSH_DISPATCH_REPORT_TOKEN"] == token_for(KEY, RUN.id, 2)
    assert made["env"]["PUSH_DISPATCH_ATTEMPT"] == "2"
    assert made["env"]["A"] == "1"


def test_without_it_nothing_changes() -> None:
    made = job(command="echo").configuration
    assert made["command"] == "echo"
    assert not any(name.startswith("PUSH_DISPATCH_REPORT") for name in made["env"])


@pytest.mark.parametrize(
    ("variables", "reason", "words"),
    [
        ({"kind": "perl", "command": "x"}, "template_invalid", "one of python, sh"),
        ({"kind": "sh"}, "template_invalid", "needs a command"),
        ({"kind": "sh", "command": "'"}, "template_invalid", "cannot be split"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(
    variables: dict[str, Any], reason: str, words: str
) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        job(**variables)
    assert caught.value.reason == reason


def test_a_template_that_fixes_its_command_cannot_be_wrapped() -> None:
    fixed = {**TEMPLATE, "job_configuration": {"command": "echo"}}
    with pytest.raises(Rejected, match=r"no \{\{ command \}\}"):
        job(template=fixed, command="x", kind="sh")


def test_a_deployment_without_one_says_so() -> None:
    with pytest.raises(Rejected) as caught:
        job(None, command="x", kind="sh")
    assert caught.value.reason == "platform_not_configured"
