"""Does a push that is put off say why, and when it is tried again?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from push_dispatch.adapters.secret_stores import FileSecrets
from push_dispatch.control.pools import change_pool
from push_dispatch.core.bounds import MAX_WORDS
from push_dispatch.core.errors import NoCapacity, Rejected, Throttled, Unavailable, Uncertain
from push_dispatch.core.model import Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.redactor import MASK
from push_dispatch.engine.submit import submit
from push_dispatch.insight.explain import explain
from push_dispatch.insight.listing import run_views
from push_dispatch.platforms.base import Job
from tests.fakes.world import POOL, World

ECHO = Request(POOL)
WORDS = "registry-1.docker.io: no such host"


def put_off(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    request: Request = ECHO,
) -> Run:
    """A run whose platform answers with `error`, after its first push."""

    def fail(_: Job) -> str:
        raise error

    monkeypatch.setattr(world.platform, "push", fail)
    run = submit(world.ports, request).run
    for _ in range(4):
        world.deliver_all()
    return found(world, run)


def found(world: World, run: Run) -> Run:
    now = world.store.run(POOL, run.uuid)
    assert now is not None
    return now


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unavailable(WORDS), Unavailable(WORDS).reason),
        (Uncertain(WORDS), Uncertain(WORDS).reason),
        (OSError(WORDS), "OSError"),
    ],
)
def test_every_door_says_why_and_when_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    world = World()
    run = put_off(world, monkeypatch, error)
    (view,) = run_views(world.ports, [run])
    assert (view["state"], view["reason"]) == ("PENDING", "push_retry")
    assert view["message"] == f"{kind}: {WORDS}"
    assert view["attempts"][-1]["failed_pushes"] == 1
    explanation = explain(world.ports, run.id)
    assert explanation.reason == "push_retry"
    assert explanation.numbers == {"failed pushes": 1}
    due = [delivery.at for delivery in world.mail.waiting]
    assert explanation.next_try_at is not None
    assert world.now < explanation.next_try_at <= min(due) < explanation.next_try_at + 1000
    assert view["next_try_at"] is not None


def test_tries_are_counted_and_the_words_stay_while_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    run = put_off(world, monkeypatch, Unavailable(WORDS))
    seen: list[Run] = []

    def fail_again(_: Job) -> str:
        seen.append(found(world, run))
        raise Unavailable("and now another one")

    monkeypatch.setattr(world.platform, "push", fail_again)
    world.now += 60_000
    world.deliver_all()
    (during,) = seen
    assert during.message is not None
    assert WORDS in during.message
    after = found(world, run)
    assert after.current is not None
    assert after.message is not None
    assert (after.current.tries, "and now another one" in after.message) == (2, True)


def test_nothing_of_it_is_left_once_the_platform_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    run = put_off(world, monkeypatch, Unavailable(WORDS))
    monkeypatch.undo()
    world.now += 60_000
    for _ in range(3):
        world.deliver_all()
    (view,) = run_views(world.ports, [found(world, run)])
    assert view["reason"] != "push_retry"
    assert (view["message"], view["next_try_at"]) == (None, None)


def test_nothing_of_it_is_left_once_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    run = put_off(world, monkeypatch, Unavailable(WORDS))

    def refuse(_: Job) -> str:
        raise Rejected("no")

    monkeypatch.setattr(world.platform, "push", refuse)
    monkeypatch.setattr(type(world.platform), "find", lambda self, job: None)
    world.now += 60_000
    for _ in range(3):
        world.deliver_all()
    after = found(world, run)
    assert after.state is RunState.CRASHED
    assert after.current is not None
    assert after.current.next_try_at is None


@pytest.mark.parametrize("error", [NoCapacity("RESOURCE:MEMORY"), Throttled("Rate exceeded")])
def test_a_run_that_holds_its_slot_meanwhile_has_the_platform_s_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = World()
    run = put_off(world, monkeypatch, error)
    explanation = explain(world.ports, run.id)
    assert explanation.reason in ("no_room", "throttled")
    assert run.message == str(error)
    assert explanation.next_try_at is not None
    assert explanation.next_try_at > world.now


def test_the_words_are_short_and_have_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    (tmp_path / "secrets.json").write_text('{"TOKEN": "correct-horse-battery"}')
    world.ports = replace(world.ports, secrets=FileSecrets(tmp_path / "secrets.json"))
    change_pool(world.ports, POOL, lambda pool: replace(pool, secrets=("*",)))
    command = Request(POOL, variables={"command": "login {{ secrets.TOKEN }}"})
    run = put_off(
        world, monkeypatch, Unavailable("login correct-horse-battery" + "x" * 9000), command
    )
    assert run.message is not None
    assert run.message.startswith(f"backend_unavailable: login {MASK}x")
    assert len(run.message) <= MAX_WORDS
