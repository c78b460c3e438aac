"""Does a real flow of a real Prefect server run in a container of a real engine?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import IMAGE, Engine, engine, missing
from tests.local import Cli, LocalUp, eventually
from tests.prefect_server import FLOWS, VERSIONS, PrefectServer, environment

pytestmark = [pytest.mark.slow, pytest.mark.containers, pytest.mark.timeout(600)]

VERSION = list(VERSIONS)[-1]


@pytest.fixture
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if why := missing():
        pytest.skip(why)
    if environment(VERSION) is None:
        pytest.skip(f"Prefect {VERSION} is not installed: make env-{VERSIONS[VERSION]}")
    with engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


def mounts(server: PrefectServer) -> list[str]:
    """What Prefect needs of this machine: the image has but a shell."""
    python = (server.programs / "python").resolve()
    folders = {"/lib", "/lib64", "/usr", str(FLOWS), str(python.parents[1])}
    folders |= {str(server.programs.parent), str(server.programs.parent.resolve())}
    return [f"{folder}:{folder}:ro" for folder in sorted(folders) if Path(folder).is_dir()]


def test_a_flow_runs_in_a_container_and_a_dead_one_is_crashed(real: Engine, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home", real.environ)
    with (
        PrefectServer(tmp_path / "server", VERSION) as server,
        LocalUp(cli, ("--data-dir", str(tmp_path / "data"))),
    ):
        server.create_pool("box", type="docker", base_job_template={})
        variables = {
            "image": IMAGE,
            "image_pull_policy": "Never",
            "network_mode": "host",
            "volumes": mounts(server),
            "env": {"HOME": "/tmp", "PREFECT_HOME": "/tmp/prefect"},
        }
        flow = f"{server.programs}/prefect flow-run execute"
        runs = [
            server.run(server.deploy(name, "box", command=command, job_variables=variables))
            for name, command in (("lives", flow), ("dies", "sh -c 'exit 137'"))
        ]
        cli.ok("prefect", "attach", "box", "--api-url", server.url)
        ends = ["COMPLETED", "CRASHED"]
        eventually(lambda: [server.flow_run(run)["state_type"] for run in runs] == ends, 400)
        assert "137" in server.flow_run(runs[1])["state"]["message"]
        assert all(server.flow_run(run)["infrastructure_pid"] for run in runs)
