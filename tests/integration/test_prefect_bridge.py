"""Does push-dispatch serve the work pools of a real Prefect server, as its own workers would?

Real servers of both versions, on SQLite; flows run as processes; no worker exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.local import Cli, LocalUp, eventually
from tests.prefect_server import VERSIONS, PrefectServer, Stub, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture(scope="module", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    if environment(request.param) is None:
        pytest.skip(f"Prefect {request.param} is not installed: make env-{VERSIONS[request.param]}")
    with PrefectServer(tmp_path_factory.mktemp("prefect"), request.param) as started:
        yield started


@pytest.fixture(scope="module")
def cli(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A local runtime beside the server."""
    folder = tmp_path_factory.mktemp("local")
    found = Cli(folder / "home")
    with LocalUp(found, ("--data-dir", str(folder / "data"))):
        yield found


def test_scheduled_and_adhoc_runs_of_three_queues_end_within_their_limits(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    stub = Stub(tmp_path)
    server.create_pool("etl", concurrency_limit=5)
    limits = {"high": 2, "mid": 3, "low": None}
    deployments = {}
    for queue, limit in limits.items():
        server.create_queue("etl", queue, concurrency_limit=limit)
        deployments[queue] = server.deploy(
            queue, "etl", queue=queue, command=stub.command,
            job_variables={"env": {"STUB_SECONDS": "0.3"}},
        )  # fmt: skip
    real = server.deploy("real", "etl", queue="low")
    fails = server.deploy("fails", "etl", queue="low", flow="fails")
    cli.ok("prefect", "attach", "etl", "--api-url", server.url)
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    runs = [server.run(deployments[queue]) for queue in limits for _ in range(10)]
    runs += [server.run(deployments[queue], at=soon) for queue in limits for _ in range(9)]
    real_runs = [server.run(real), server.run(real, at=soon)]
    failed = server.run(fails)
    most: Counter[str] = Counter()

    def all_ended() -> bool:
        found = server.flow_runs()
        held = Counter(
            r["work_queue_name"] for r in found if r["state_type"] in ("PENDING", "RUNNING")
        )
        held["etl"] = sum(held.values())
        for name, number in held.items():
            most[name] = max(most[name], number)
        return all(r["state_type"] in _ENDED for r in found)

    eventually(all_ended, seconds=240)
    ended = {r["id"]: r for r in server.flow_runs()}
    assert {ended[run]["state_type"] for run in runs + real_runs} == {"COMPLETED"}
    assert ended[failed]["state_type"] == "FAILED"
    assert Counter(stub.started()) == Counter(runs)
    assert most["etl"] <= 5
    assert most["high"] <= 2
    assert most["mid"] <= 3
    assert most["etl"] > 2, "nothing ran at the same time"
    assert all(ended[run]["infrastructure_pid"] for run in real_runs)
    pool = server.call("GET", "/work_pools/etl")
    assert pool["status"] == "READY"
    workers = server.call("POST", "/work_pools/etl/workers/filter", {})
    assert [worker["name"] for worker in workers] == ["push-dispatch"]
