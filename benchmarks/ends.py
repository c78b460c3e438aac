"""How soon is an end known on a platform that reports none, and how often is it asked?

The engine on a clock of its own, without a fault: one attempt that runs for so long, from ten
moments between two sweeps. Before, only the sweep polled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

from benchmarks.world import figure
from push_dispatch.core.model import Observation
from push_dispatch.core.polling import IN_AWS, Pauses
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.local.runtime import PAUSES, SWEEP_SECONDS
from push_dispatch.platforms.base import Watched
from tests.fakes.memory_platform import MemoryPlatform
from tests.fakes.world import POOL, START, World

__all__ = ["main"]

DURATIONS = (1, 10, 60, 600, 3600)
_MOMENTS = 10


class Silent(MemoryPlatform):
    """Reports nothing, and counts how often it is asked about an attempt that has not ended."""

    asked = 0

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        self.asked += len(jobs)
        return super().observe(jobs)


@dataclass(frozen=True)
class Way:
    """How attempts are polled."""

    name: str
    pauses: Pauses
    #: Seconds from one sweep to the next.
    sweeps: int


WAYS = (
    Way("AWS, before", Pauses(), 60),
    Way("AWS", IN_AWS, 60),
    Way("local runtime, before", Pauses(), SWEEP_SECONDS),
    Way("local runtime", PAUSES, SWEEP_SECONDS),
)


def main() -> None:
    """Print a table: for each duration and way the delays, and the calls of an attempt."""
    print(f"{'duration':>9} {'where':24} {'delay':>9} {'longest':>9} {'calls':>7}")
    for seconds in DURATIONS:
        for way in WAYS:
            lives = [_life(way, seconds, n / _MOMENTS) for n in range(_MOMENTS)]
            delays = [delay for delay, _ in lives]
            calls = mean(calls for _, calls in lives)
            times = f"{mean(delays):7.1f} s {max(delays):7.1f} s"
            print(f"{seconds:7} s {way.name:24} {times} {calls:7.1f}")
    worst = max(_life(WAYS[1], 1, n / _MOMENTS)[0] for n in range(_MOMENTS))
    before = max(_life(WAYS[0], 1, n / _MOMENTS)[0] for n in range(_MOMENTS))
    figure("the end of a job of 1 s in AWS", f"{worst:.1f} s", "<= 5 s", f"{before:.1f} s")


def _life(way: Way, seconds: int, moment: float) -> tuple[float, int]:
    """Seconds until the end was known, and calls of the platform."""
    platform = Silent()
    world = World(platform=platform)
    world.ports = replace(world.ports, pauses=way.pauses)
    sweep_at = START + int((1 - moment) * way.sweeps * 1000)
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    [container] = platform.live()
    container.running, container.started_at = True, world.now
    ends_at = world.now + seconds * 1000
    while not world.runs()[0].state.ended:
        if world.now >= ends_at and not container.ended:
            platform.end(container, 0)
            platform.events.clear()
        if world.now >= sweep_at:
            sweep_at += way.sweeps * 1000
            world.sweep()
        world.deliver_all()
        world.now += 500
    return (world.now - 500 - ends_at) / 1000, platform.asked
