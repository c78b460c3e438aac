"""Does Prefect's own command line create push work pools on an open-source server?"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.prefect_server import VERSIONS, PrefectServer, environment

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_command_line_knows_the_types_with_the_package_and_not_without(
    version: str, tmp_path: Path
) -> None:
    if environment(version) is None:
        pytest.skip(f"Prefect {version} is not installed: make env-{VERSIONS[version]}")
    package, target = ROOT / "packages/push-dispatch-prefect", tmp_path / "site"
    uv = ROOT / ".envs/uv/bin/uv"
    install = [str(uv) if uv.exists() else "uv", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--target", str(target), str(package)], check=True, timeout=200)
    with PrefectServer(tmp_path / "server", version) as server:

        def prefect(*arguments: str, known: bool = True) -> subprocess.CompletedProcess[str]:
            path = {"PYTHONPATH": str(target)} if known else {}
            return subprocess.run(
                [server.programs / "prefect", *arguments],
                env={**server.environ, **path},
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )

        without = prefect("work-pool", "create", "a", "--type", "ecs:push", known=False)
        assert without.returncode == 1
        assert "Unknown work pool type 'ecs:push'" in without.stdout + without.stderr
        done = prefect("work-pool", "create", "a", "--type", "ecs:push")
        assert done.returncode == 0, done.stdout + done.stderr
        pool = server.call("GET", "/work_pools/a")
        assert pool["type"] == "ecs:push"
        ours = json.loads((ROOT / "src/push_dispatch/platforms/templates/ecs.json").read_text())
        properties = pool["base_job_template"]["variables"]["properties"]
        assert set(properties) == set(ours["variables"]["properties"])
        started = prefect("worker", "start", "--pool", "a")
        assert started.returncode == 1
        assert "not required for push work pools" in started.stdout + started.stderr
