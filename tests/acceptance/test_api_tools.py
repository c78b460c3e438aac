"""Do tools that know nothing of us but the OpenAPI document get along with the API?

They live in `.envs/api` (`make env-api`). The runtime is one that nothing else uses: the tester
creates and deletes whatever it can.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local import Cli, LocalUp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BIN = ROOT / ".envs/api/bin"
#: Of testing: what it repeats until they are over.
SECONDS = os.environ.get("API_SECONDS", "90")


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if not (BIN / "schemathesis").exists():
        pytest.skip("they are not installed: run `make env-api` for .envs/api")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    home = tmp_path_factory.mktemp("home")
    cli = Cli(home)
    with LocalUp(cli):
        [record] = cli("local", "ls", "--json").json
        yield record


def test_schemathesis_finds_nothing(runtime: dict[str, Any], tmp_path: Path) -> None:
    """All checks, over examples, bounds, random data and sequences of requests."""
    done = subprocess.run(
        [
            BIN / "schemathesis",
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            f"{runtime['api']}/v1/openapi.json",
            f"--header=Authorization: Bearer {runtime['token']}",
            "--checks=all",
            "--max-examples=15",
            f"--max-time={SECONDS}",
            "--suppress-health-check=all",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "internal_error" not in Path(runtime["log"]).read_text("utf-8")


def test_a_generated_client_is_complete_and_works(runtime: dict[str, Any], tmp_path: Path) -> None:
    from push_dispatch.api.v1 import TABLE
    from push_dispatch.api.v1.document import document

    source, target = tmp_path / "openapi.json", tmp_path / "generated"
    source.write_text(json.dumps(document()), "utf-8")
    made = _run(
        "openapi-python-client",
        "generate",
        f"--path={source}",
        f"--output-path={target}",
        "--meta=none",
        "--fail-on-warning",
    )
    assert made.returncode == 0, made.stdout[-6000:] + made.stderr[-2000:]
    modules = {path.stem for path in (target / "api").rglob("*.py")}
    assert {route.name for route in TABLE.routes} <= modules
    assert _run("python", "-W", "error", "-m", "compileall", "-q", str(target)).returncode == 0
    script = str(HERE / "generated_client.py")
    used = _run("python", script, str(tmp_path), runtime["api"], runtime["token"])
    assert used.stdout == "ok\n", used.stdout + used.stderr


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{BIN}:{os.environ['PATH']}"
    return subprocess.run(
        [BIN / program, *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
