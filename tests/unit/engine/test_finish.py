"""Is a log kept that its platform is about to delete?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from push_dispatch.core.errors import Uncertain
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import KEPT_LOG_BYTES
from push_dispatch.engine.submit import submit
from tests.fakes.memory_platform import MemoryPlatform
from tests.fakes.world import POOL, World


@dataclass
class ForgetfulPlatform(MemoryPlatform):
    """What it has written is gone with the container."""

    logs_go_too: ClassVar[bool] = True
    lines: tuple[str, ...] = ()
    broken: bool = False

    def logs(self, handle: str) -> Iterator[str]:
        if self.broken:
            raise Uncertain("no connection")
        yield from self.lines if handle in self.containers else ()


def ended(platform: ForgetfulPlatform, again: bool = False) -> str | None:
    world = World(platform=platform)
    run = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    world.deliver_all()
    [container] = platform.live()
    platform.end(container, 0)
    if again:
        world.deliver_event(0, again=True)
    world.deliver_all()
    return world.store.kept_log(POOL, run.uuid, 1)


def test_it_is_kept_before_it_is_deleted() -> None:
    platform = ForgetfulPlatform(lines=("one", "zwölf"))
    assert ended(platform) == "one\nzwölf"
    assert platform.containers == {}


def test_told_twice_it_stays() -> None:
    assert ended(ForgetfulPlatform(lines=("one",)), again=True) == "one"


@pytest.mark.parametrize("width", [6, 999, 7_999])
def test_of_a_long_one_the_end_is_kept(width: int) -> None:
    lines = tuple(f"{n:0{width}}" for n in range(100_000 // width + 3))
    kept = ended(ForgetfulPlatform(lines=lines))
    assert kept is not None
    assert len(kept.encode()) <= KEPT_LOG_BYTES
    assert tuple(kept.split("\n")) == lines[-len(kept.split("\n")) :]
    assert len(kept) + width + 1 > KEPT_LOG_BYTES - width


def test_an_endless_line_is_cut() -> None:
    assert ended(ForgetfulPlatform(lines=("ü" * 100_000,))) == "ü" * 7_999


def test_one_that_cannot_be_read_deletes_nothing() -> None:
    platform = ForgetfulPlatform(lines=("one",), broken=True)
    assert ended(platform) is None
    assert len(platform.containers) == 1
