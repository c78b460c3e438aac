"""Is a run that has ended submitted once more, and only once?"""

from __future__ import annotations

import pytest

from push_dispatch.cli.commands import bulk as command
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.stop import cancel
from tests.fakes.api_v1 import Api
from tests.fakes.world import World


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    found = Api(World())
    monkeypatch.setattr(command, "connect", lambda _: found.world.ports)
    return found


def test_a_run_that_has_ended_gets_one_successor(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    run = api.submit(name="again")
    cancel(api.world.ports, run)
    command.retry(run)
    command.retry(run)
    first, second = capsys.readouterr().out.split()
    assert first == second != run
    assert api("GET", f"/pools/p/runs/{first}").json["name"] == "again"


def test_a_run_that_has_not_ended_is_left_alone(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.retry(api.submit()) == 1
    assert f"[{Reason.NOT_ENDED}]" in capsys.readouterr().err
