"""Does the event of a platform reach its handler, whoever wrote the platform?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Observation, Run, RunState, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.handlers.finish import handle
from push_dispatch.platforms.base import Capabilities, Platform
from push_dispatch.platforms.capabilities import check_capabilities
from push_dispatch.platforms.registry import load, reporting
from push_dispatch.ports import Ports
from push_dispatch.ports.eager import Eager
from tests.fakes.memory_platform import MemoryPlatform
from tests.fakes.third_party import Install, installed
from tests.fakes.world import POOL, World


@dataclass
class Reporting(MemoryPlatform):
    """Its events are those of a service that nobody here knows."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        finds_by_name=True, cleans_up=True, reports_events=True, event_sources=("acme.batch",)
    )

    def parse(self, event: Mapping[str, Any]) -> Observation | None:
        if event["detail-type"] != "Job Ended":
            return None
        run, attempt, code = (event["detail"][key] for key in ("run", "attempt", "exitCode"))
        return Observation(run, attempt, Status.ENDED, exit_code=code)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    with installed(monkeypatch) as install:
        yield install


@pytest.fixture
def started() -> tuple[World, Run]:
    world = World(platform=Reporting())
    submit(world.ports, Request(POOL))
    world.deliver_all()
    [run] = world.runs()
    return world, run


def loading(world: World) -> Ports:
    """Ports that load a platform as `bootstrap` does, but for the world's own."""
    own = world.ports.platform

    def platform(name: str) -> Platform:
        return load(name, {}) if name == "theirs" else own(name)

    return replace(world.ports, platform=platform)


def ended(run: Run, **more: Any) -> dict[str, Any]:
    detail = {"run": run.id, "attempt": run.attempt, "exitCode": 0}
    return {"source": "acme.batch", "detail-type": "Job Ended", "detail": detail, **more}


def batch(*events: Any) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": str(number), "body": json.dumps(event)}
            for number, event in enumerate(events)
        ]
    }


@pytest.mark.parametrize("envelope", [lambda event: event, batch], ids=["event", "queue"])
def test_the_event_of_somebody_elses_platform_ends_its_run(
    install: Install, started: tuple[World, Run], envelope: Callable[[Any], dict[str, Any]]
) -> None:
    world, run = started
    install(lambda environ: world.platform)
    assert handle(loading(world), envelope(ended(run))) == {"batchItemFailures": []}
    [run] = world.runs()
    assert run.state is RunState.COMPLETED


@pytest.mark.parametrize("envelope", [lambda event: event, batch], ids=["event", "queue"])
@pytest.mark.parametrize("eager", [True, False])
def test_its_slot_is_free_before_the_stream_tells_of_the_end(
    install: Install,
    started: tuple[World, Run],
    envelope: Callable[[Any], dict[str, Any]],
    eager: bool,
) -> None:
    world, run = started
    install(lambda environ: world.platform)
    ports = replace(loading(world), eager=Eager() if eager else None)
    handle(ports, envelope(ended(run)))
    assert len(world.store.ledger(POOL).holders) == (0 if eager else 1)


def test_a_run_that_waits_for_a_retry_keeps_its_slot_until_it_is_in_line(install: Install) -> None:
    """By its slot the sweep finds it, if the record is lost."""
    world = World(platform=Reporting())
    install(lambda environ: world.platform)
    submit(world.ports, Request(POOL, retries=1, retry_delay_seconds=9))
    world.deliver_all()
    [run] = world.runs()
    event = ended(run, detail={"run": run.id, "attempt": 1, "exitCode": 3})
    handle(replace(loading(world), eager=Eager()), event)
    [run] = world.runs()
    assert run.state is RunState.SCHEDULED
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [run.uuid]


def test_an_event_that_nobody_declares_is_kept_and_costs_no_other(
    install: Install, started: tuple[World, Run], caplog: pytest.LogCaptureFixture
) -> None:
    world, run = started
    install(lambda environ: world.platform)
    events = batch(ended(run, source="acme.other"), {"no": "source"}, ended(run))
    answer = handle(loading(world), events)
    assert [failed["itemIdentifier"] for failed in answer["batchItemFailures"]] == ["0", "1"]
    with pytest.raises(Invalid, match=r"declares events of the source 'acme\.other'"):
        reporting("acme.other", loading(world).platform)
    [run] = world.runs()
    assert run.state is RunState.COMPLETED


def test_a_package_that_cannot_be_loaded_costs_no_other_its_events(install: Install) -> None:
    install(lambda environ: 1 / 0)
    assert reporting("aws.ecs", lambda name: load(name, {})).name == "ecs"
    with pytest.raises(Invalid, match="install its package"):
        reporting("acme.batch", lambda name: load(name, {}))


def test_sources_without_a_parser_are_misdeclared() -> None:
    class Theirs:
        name = "theirs"
        capabilities = Capabilities(event_sources=("acme.batch",))

    with pytest.raises(Invalid, match="declares event_sources and not reports_events") as caught:
        check_capabilities(Theirs)
    assert caught.value.reason == "platform_misdeclared"
