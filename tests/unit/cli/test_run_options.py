"""Does what is typed for a run become the request that is meant, and is a contradiction named?"""

from __future__ import annotations

from pathlib import Path

import pytest
from cyclopts import Token

from push_dispatch.cli.options import whole
from push_dispatch.cli.run_options import Wanted, request_for
from push_dispatch.control.deployments import save_deployment
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.request import Request
from tests.fakes.world import POOL, START, World


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_but_a_pool_is_a_request_with_the_defaults(world: World) -> None:
    assert request_for(world.ports, POOL, None, Wanted(), ()) == Request(POOL)


def test_everything_that_can_be_said(world: World) -> None:
    wanted = Wanted(
        queue="high",
        var=("cpu=256", "env.N=1"),
        param=("date=2026",),
        in_="1h30m",
        key="k",
        retries=2,
        crash_retries=1,
        retry_delay="90s",
        timeout="2d",
        start_within="5m",
        tag=("a", "b"),
        name="report",
        concurrency_key="c",
    )
    assert request_for(world.ports, POOL, None, wanted, ("echo", "two words")) == Request(
        POOL,
        queue="high",
        variables={"cpu": 256, "env.N": "1", "command": "echo 'two words'"},
        parameters={"date": 2026},
        at=START + 5_400_000,
        idempotency_key="k",
        retries=2,
        crash_retries=1,
        retry_delay_seconds=90,
        timeout_seconds=172_800,
        start_within=300,
        tags=("a", "b"),
        name="report",
        concurrency_key="c",
    )


def test_pairs_go_before_the_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "vars.json"
    file.write_text('{"cpu": 1, "memory": 2}')
    wanted = Wanted(vars=file, var=("cpu=3",))
    variables = request_for(world.ports, POOL, None, wanted, ()).variables
    assert variables == {"cpu": 3, "memory": 2}


def test_a_deployment_has_its_pool_and_keeps_what_is_not_said(world: World) -> None:
    save_deployment(world.ports, Deployment("nightly", POOL, command="true", tags=("n",)))
    request = request_for(world.ports, None, "nightly", Wanted(retries=1), ())
    assert (request.pool, request.deployment, request.tags) == (POOL, "nightly", ("n",))
    assert request.retries == 1


@pytest.mark.parametrize(
    ("pool", "deployment", "wanted", "command", "words"),
    [
        (None, None, Wanted(), (), "name a pool, or a deployment"),
        (POOL, "d", Wanted(), (), "name one or the other"),
        (POOL, None, Wanted(at="2026-12-01T09:00Z", in_="1h"), (), "exclude each other"),
        (POOL, None, Wanted(at="2026-12-01T09:00"), (), "has no time zone"),
        (POOL, None, Wanted(in_="soon"), (), "--in 'soon' is not a duration"),
        (POOL, None, Wanted(timeout="1w"), (), "--timeout '1w' is not a duration"),
        (POOL, None, Wanted(retry_delay=""), (), "--retry-delay '' is not a duration"),
        (POOL, None, Wanted(var=("command=x",)), ("y",), "the command is given twice"),
    ],
)
def test_a_contradiction_is_named(
    world: World,
    pool: str | None,
    deployment: str | None,
    wanted: Wanted,
    command: tuple[str, ...],
    words: str,
) -> None:
    with pytest.raises(Invalid, match=words):
        request_for(world.ports, pool, deployment, wanted, command)


def test_a_deployment_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(NotFound, match="'nightly'"):
        request_for(world.ports, None, "nightly", Wanted(), ())


@pytest.mark.parametrize("text", ["0", "+5", "-1", "999999999999999"])
def test_an_integer(text: str) -> None:
    assert whole(int, [Token(value=text)]) == int(text)


@pytest.mark.parametrize("text", ["1.5", "", "1e3", "٣", "0x1", "1_000", "1" * 16, " 1"])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match="is not an integer"):
        whole(int, [Token(value=text)])
