"""Does the docker platform do on a real engine what it does on the fake?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.platforms.docker import Docker
from tests.engine import IMAGE, Engine, engine, missing
from tests.local import eventually

pytestmark = [pytest.mark.slow, pytest.mark.containers]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if why := missing():
        pytest.skip(why)
    with engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture
def platform(real: Engine) -> Iterator[Docker]:
    made = Docker(real.environ)
    yield made
    made._client.close()


def job(number: int, command: str, **configuration: Any) -> Job:
    run = UUID(int=0x0199_C1F0_0000_7000_8000_0000_0000_0000 + number)
    return Job(
        name=f"pd-{run.hex}-1",
        run_id=f"real.{run}",
        pool="real",
        type="docker",
        attempt=1,
        configuration={
            "image": IMAGE,
            "command": command,
            "network_mode": "none",
            "env": {"GREETING": "grüß dich"},
            **configuration,
        },
        claimed_at=time.time_ns() // 1_000_000,
    )


def see(platform: Docker, wanted: Job, handle: str) -> Observation:
    [seen] = platform.observe([Watched(handle, wanted.run_id, 1)])
    return seen


def ended(platform: Docker, wanted: Job, handle: str) -> Observation:
    eventually(lambda: see(platform, wanted, handle).status is Status.ENDED)
    return see(platform, wanted, handle)


@pytest.mark.parametrize("code", [0, 7])
def test_exit_code_and_logs_are_the_real_ones(platform: Docker, code: int) -> None:
    wanted = job(10 + code, f"sh -c 'echo \"$GREETING\"; echo err >&2; exit {code}'")
    handle = platform.push(wanted)
    assert platform.push(wanted) == handle
    end = ended(platform, wanted, handle)
    assert (end.exit_code, end.reason) == (code, None)
    assert sorted(platform.logs(handle)) == ["err", "grüß dich"]
    platform.clean_up(handle)
    platform.clean_up(handle)
    assert see(platform, wanted, handle).status is Status.LOST


def test_what_takes_too_much_memory_is_killed_and_said_so(platform: Docker) -> None:
    hungry = "sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1'"
    wanted = job(20, hungry, mem_limit="32m", memswap_limit="32m")
    handle = platform.push(wanted)
    end = ended(platform, wanted, handle)
    assert end.reason == "out_of_memory", end
    platform.clean_up(handle)


def test_cancel_stops_a_container_that_listens(platform: Docker) -> None:
    script = "trap 'echo bye; exit 5' TERM; echo up; while true; do sleep 0.1; done"
    wanted = job(30, f'sh -c "{script}"')
    handle = platform.push(wanted)
    eventually(lambda: list(platform.logs(handle)) == ["up"])
    assert see(platform, wanted, handle).status is Status.RUNNING
    platform.cancel(handle)
    end = ended(platform, wanted, handle)
    assert end.exit_code == 5
    assert list(platform.logs(handle)) == ["up", "bye"]
    platform.cancel(handle)
    platform.clean_up(handle)


def test_what_cannot_be_started_is_refused_with_its_reason(platform: Docker) -> None:
    with pytest.raises(Rejected) as caught:
        platform.push(job(40, "no-such-program"))
    assert caught.value.reason == "command_not_found"
    assert platform.find(job(40, "true")) is None
    with pytest.raises(Rejected) as caught:
        platform.push(job(41, "true", image="localhost/none:1", image_pull_policy="Never"))
    assert caught.value.reason == "image_pull_failed"
