"""Does `top` show how busy the pools are, once into a pipe and live until q?"""

from __future__ import annotations

import json
import os
import pty
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from push_dispatch.cli import grid, live, output, tables
from push_dispatch.cli.commands import runs, top as command
from push_dispatch.cli.options import Common
from push_dispatch.control.pools import create_queue
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.model import Queue
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.submit import submit_many
from push_dispatch.insight.activity import activity
from tests.fakes.world import POOL, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A pool with three slots that are held, and four runs that wait for a minute."""
    world = World()
    create_queue(world.ports, POOL, Queue("urgent", 1), priority=1)
    submit_many(world.ports, copies(Request(POOL), 7))
    for _ in range(4):
        world.deliver_all()
    world.now += 50_000
    monkeypatch.setattr(command, "connect", lambda common: world.ports)
    return world


def test_it_counts_slots_waiting_runs_and_starts(world: World) -> None:
    (pool,) = activity(world.ports)["pools"]
    assert (pool["name"], pool["slots_used"], pool["limit"]) == (POOL, 3, 3)
    assert (pool["waiting"], pool["waiting_more"]) == (4, False)
    assert (pool["starts_last_minute"], pool["starts_more"]) == (3, False)
    assert pool["oldest_seconds"] >= 50
    queues = {queue["name"]: queue for queue in pool["queues"]}
    assert (queues["urgent"]["waiting"], queues["urgent"]["oldest_seconds"]) == (0, None)
    assert queues["default"]["reasons"] == {"pool_limit": 4}
    world.now += 60_000
    assert activity(world.ports, POOL)["pools"][0]["starts_last_minute"] == 0


def test_one_pool_may_be_named(world: World) -> None:
    assert [pool["name"] for pool in activity(world.ports, POOL)["pools"]] == [POOL]
    with pytest.raises(NotFound, match="other"):
        activity(world.ports, "other")


def test_into_a_pipe_it_prints_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    command.top()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == list(command._HEADER)
    assert lines[1].split()[:5] == [POOL, "3", "of", "3", "4"]
    assert [line.split()[0] for line in lines[2:]] == ["urgent", "default"]
    command.top(common=Common(json=True))
    assert json.loads(capsys.readouterr().out)["pools"][0]["waiting"] == 4


def test_an_interval_that_is_too_short_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="at least 1s"):
        command.top(every="0s")


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A pseudo-terminal as standard input and output; both of its ends, ours first."""
    ours, theirs = pty.openpty()
    with (
        open(theirs, "rb", buffering=0) as keyboard,  # noqa: PTH123 - a descriptor
        open(os.dup(theirs), "w", encoding="utf-8") as screen,  # noqa: PTH123
    ):
        shown = Console(file=screen, force_terminal=True, width=80, height=24)
        for module in (grid, live, output):
            monkeypatch.setattr(module, "console", lambda: shown)
        monkeypatch.setattr(sys, "stdin", keyboard)
        monkeypatch.setattr(sys, "stdout", screen)
        yield ours, theirs
        monkeypatch.undo()
    os.close(ours)


def test_it_is_live_until_q_and_gives_the_terminal_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as ends:
        assert b"q quits" in shown_until_q(*ends, lambda: command.top(every="1h"), b"pool_limit")


def test_runs_are_watched_until_q(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "connect", lambda common: world.ports)
    monkeypatch.setattr(tables, "_WATCH_SECONDS", 3600)
    with terminal(monkeypatch) as ends:
        assert b"PENDING" in shown_until_q(*ends, lambda: runs.ls(watch=True), b"pool_limit")


def shown_until_q(ours: int, theirs: int, do: Callable[[], None], wanted: bytes) -> bytes:
    """What a command shows until it has shown `wanted`; then q ends it."""
    before = termios.tcgetattr(theirs)
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    seen = b""
    while wanted not in seen:
        ready, _, _ = select.select([ours], [], [], 60)
        assert ready, seen
        seen += os.read(ours, 65536)
    os.write(ours, b"q")
    threading.Thread(target=_drain, args=(ours,), daemon=True).start()
    thread.join(60)
    assert not thread.is_alive()
    assert termios.tcgetattr(theirs) == before
    return seen


def _drain(descriptor: int) -> None:
    """Read what is written at the end, so that nobody waits for room."""
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:
        return
