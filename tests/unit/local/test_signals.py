"""Does a poke wake one who serves, and is nothing left lying while that one is busy?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

import pytest

from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.adapters.sqlite.queues import WAKES, Queues
from push_dispatch.bootstrap import now
from push_dispatch.local.loops import Loop
from push_dispatch.local.queues import MessagePump
from push_dispatch.local.signals import Signal
from push_dispatch.ports.messages import Wake
from tests.local import eventually

Handle = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def serving(queues: Queues, signal: Signal, handle: Handle, loops: int) -> list[Loop]:
    pump = MessagePump(queues, WAKES, handle, clock=now, receives=5, another=signal.poke)
    started = [Loop(f"serves-{n}", pump.step, signal) for n in range(loops)]
    for loop in started:
        loop.start()
    return started


def ended(loops: list[Loop]) -> None:
    for loop in loops:
        loop.stop()
    for loop in loops:
        loop.join()
        assert not loop._thread.is_alive()


def test_a_message_that_comes_while_another_is_handled_finds_somebody() -> None:
    signal, gate = Signal(), Event()
    queues = Queues(Database(":memory:", lambda _names: signal.poke()), now)
    seen: list[str] = []

    def handle(event: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.extend(record["body"] for record in event["Records"])
        gate.wait(60)
        return {}

    loops = serving(queues, signal, handle, 3)
    try:
        for number in range(3):
            queues.wake([Wake(f"p{number}")])
            eventually(lambda expected=number + 1: len(seen) == expected)  # type: ignore[misc]
    finally:
        gate.set()
        ended(loops)


def test_who_gets_busy_leaves_the_watch_over_what_is_delayed_to_another() -> None:
    """The one who has taken the message was the only one to know when the next is due."""
    signal, gate = Signal(), Event()
    queues = Queues(Database(":memory:", lambda _names: signal.poke()), now)
    seen: list[str] = []

    def handle(event: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.extend(record["body"] for record in event["Records"])
        gate.wait(60)
        return {}

    loops = serving(queues, signal, handle, 2)
    try:
        queues.wake([Wake("later")], 1)
        queues.wake([Wake("now")])
        eventually(lambda: len(seen) == 2)
    finally:
        gate.set()
        ended(loops)


@pytest.mark.parametrize("loops", [1, 8])
def test_all_who_share_a_signal_stop_at_once(loops: int) -> None:
    signal = Signal()
    sleeping = [Loop(f"sleeps-{n}", lambda: 3600, signal) for n in range(loops)]
    for loop in sleeping:
        loop.start()
    ended(sleeping)
