"""Does `run logs --follow` print each line of each attempt, up to the last one, and then end?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest

from push_dispatch.cli import follow
from push_dispatch.core.errors import Refused, Rejected, Uncertain
from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.platforms.base import Capabilities

UUID = "0199c1f0-1111-7222-8333-444455556666"
RUN = Run("etl", UUID, "default", 1, 1, UUID)
ID = RUN.id


@dataclass
class Scene:
    """A run, its platform and its store at once; each sleep brings the next step."""

    steps: list[Callable[[Scene], None]]
    run_now: Run = RUN
    written: dict[str, list[str]] = field(default_factory=dict)
    trouble: list[Exception] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: int = 1000
    capabilities: ClassVar[Capabilities] = Capabilities(reads_logs=True, logs_late=True)

    @property
    def store(self) -> Any:
        return self

    def clock(self) -> int:
        return self.now

    def platform(self, name: str) -> Scene:
        return self

    def run(self, pool: str, uuid: str) -> Run:
        return self.run_now

    def kept_log(self, pool: str, run: str, attempt: int) -> None:
        return None

    def logs(self, handle: str) -> Iterator[str]:
        if self.trouble:
            raise self.trouble.pop()
        yield from self.written.get(handle, [])

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * 1000)
        assert len(self.slept) < 100, "it never ends"
        if self.steps:
            self.steps.pop(0)(self)


def starts(number: int) -> Callable[[Scene], None]:
    def step(scene: Scene) -> None:
        attempt = Attempt(number, "ecs", handle=str(number), claimed_at=1)
        attempts = (*scene.run_now.attempts, attempt)
        scene.run_now = replace(
            scene.run_now, state=RunState.RUNNING, attempt=number, attempts=attempts
        )

    return step


def writes(handle: str, *lines: str) -> Callable[[Scene], None]:
    return lambda scene: scene.written.setdefault(handle, []).extend(lines)


def ends(state: RunState) -> Callable[[Scene], None]:
    def step(scene: Scene) -> None:
        last = replace(scene.run_now.attempts[-1], ended_at=scene.now)
        attempts = (*scene.run_now.attempts[:-1], last)
        scene.run_now = replace(scene.run_now, state=state, attempts=attempts)

    return step


def fails(error: Exception) -> Callable[[Scene], None]:
    return lambda scene: scene.trouble.append(error)


@pytest.fixture
def followed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[list[str], str]]:
    def carried_out(scene: Scene, attempt: int | None = None, **how: Any) -> tuple[list[str], str]:
        monkeypatch.setattr("push_dispatch.cli.follow.time.sleep", scene.sleep)
        ports: Any = scene
        follow.print_logs(ports, ID, attempt=attempt, follow=True, as_json=how.get("json", False))
        captured = capsys.readouterr()
        return captured.out.splitlines(), captured.err

    return carried_out


def test_it_waits_for_a_run_that_waits_and_ends_with_it(followed: Any) -> None:
    scene = Scene(
        [starts(1), writes("1", "one", "two"), writes("1", "three"), ends(RunState.COMPLETED)]
    )
    assert followed(scene)[0] == ["one", "two", "three"]


def test_lines_that_arrive_after_the_end_are_waited_for(followed: Any) -> None:
    """CloudWatch and Cloud Logging have a line some seconds after it was written."""
    scene = Scene([starts(1), ends(RunState.FAILED), writes("1", "the traceback")])
    assert followed(scene)[0] == ["the traceback"]
    assert sum(scene.slept) < 30


def test_of_a_run_that_ended_long_ago_nothing_is_waited_for(followed: Any) -> None:
    scene = Scene([])
    for step in (starts(1), writes("1", "one"), ends(RunState.COMPLETED)):
        step(scene)
    scene.now += 3_600_000
    assert followed(scene)[0] == ["one"]
    assert scene.slept == []


def test_each_attempt_is_followed(followed: Any) -> None:
    scene = Scene(
        [
            starts(1),
            writes("1", "first"),
            ends(RunState.SCHEDULED),
            starts(2),
            writes("2", "second"),
            ends(RunState.COMPLETED),
        ]
    )
    lines = [json.loads(line) for line in followed(scene, json=True)[0]]
    assert lines == [{"attempt": 1, "line": "first"}, {"attempt": 2, "line": "second"}]


def test_one_attempt_is_followed_to_its_own_end(followed: Any) -> None:
    scene = Scene([writes("1", "first"), ends(RunState.SCHEDULED), starts(2), writes("2", "x")])
    starts(1)(scene)
    assert followed(scene, attempt=1)[0] == ["first"]
    assert not scene.run_now.state.ended


def test_a_platform_that_does_not_answer_for_a_moment_ends_nothing(followed: Any) -> None:
    away = Uncertain("the platform is away")
    scene = Scene(
        [starts(1), fails(away), fails(away), writes("1", "one"), ends(RunState.COMPLETED)]
    )
    lines, aside = followed(scene)
    assert lines == ["one"]
    assert aside.count("the platform is away") == 1


def test_a_platform_that_will_never_answer_ends_it(followed: Any) -> None:
    scene = Scene([starts(1), fails(Rejected("you may not read it"))])
    with pytest.raises(Refused, match="you may not read it"):
        followed(scene)


def test_ctrl_c_says_that_the_run_goes_on(
    followed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_scene: Scene) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        followed(Scene([starts(1), interrupt]))
    assert ended.value.code == 130
    assert f"run {ID} goes on" in capsys.readouterr().err
