"""A real Prefect server of our own: a process on a free port of 127.0.0.1, with SQLite.

The server and the engine of flows live in environments of their own, which `make env-prefect` and
`make env-prefect-3.9` build; a test that has none is skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import urllib3

from tests.ministack import free_port

__all__ = ["FLOWS", "VERSIONS", "PrefectServer", "Stub"]

_ROOT = Path(__file__).parents[1]
#: The environments by the version of Prefect in them.
VERSIONS = {"3.8.8": "prefect", "3.9.1": "prefect-3.9"}
#: The folder with the flows that deployments run.
FLOWS = _ROOT / "tests" / "fakes" / "prefect_flows"
_START_SECONDS = 120
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")

_TEMPLATE: Mapping[str, Any] = {
    "job_configuration": {
        "command": "{{ command }}",
        "env": "{{ env }}",
        "labels": "{{ labels }}",
        "name": "{{ name }}",
        "stream_output": "{{ stream_output }}",
        "working_dir": "{{ working_dir }}",
    },
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": ["string", "null"], "default": None},
            "env": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "name": {"type": ["string", "null"], "default": None},
            "stream_output": {"type": "boolean", "default": True},
            "working_dir": {"type": ["string", "null"], "default": None},
        },
    },
}


def environment(version: str) -> Path | None:
    """The folder with the programs of this version, or None if nobody has built it."""
    folder = _ROOT / ".envs" / VERSIONS[version] / "bin"
    return folder if (folder / "prefect").exists() else None


@dataclass
class PrefectServer:
    """One server; its database survives a stop."""

    home: Path
    version: str
    #: `user:password`; empty for none.
    auth: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    child: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        folder = environment(self.version)
        assert folder is not None
        self.programs = folder
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        self._http = urllib3.PoolManager(timeout=30, retries=False, maxsize=8)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """`PREFECT_API_URL`."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a program of Prefect's that talks to this server."""
        own = {
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        if self.auth:
            own |= {"PREFECT_API_AUTH_STRING": self.auth}
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | own

    @property
    def pid(self) -> int:
        """Of its process, while it runs."""
        assert self.child is not None
        return self.child.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        own = {"PREFECT_SERVER_API_AUTH_STRING": self.auth} if self.auth else {}
        with (self.home / "server.log").open("ab") as log:
            self.child = subprocess.Popen(
                [
                    self.programs / "prefect",
                    "server",
                    "start",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                ],
                env={**self.environ, **own, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            assert self.child.poll() is None, (self.home / "server.log").read_text()[-3000:]
            with suppress(urllib3.exceptions.HTTPError):
                if self._http.request("GET", f"{self.url}/health").status == 200:
                    return
            time.sleep(0.1)  # the server has no signal for it
        self.stop()
        raise RuntimeError("the Prefect server does not start")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it; the database stays."""
        if self.child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.child.pid, number)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
            self.child = None

    def copy_database(self, to: Path) -> None:
        """A backup, while the server goes on."""
        to.mkdir(exist_ok=True)
        with (
            closing(sqlite3.connect(self.home / "prefect.db")) as live,
            closing(sqlite3.connect(to / "prefect.db")) as backup,
        ):
            live.backup(backup)

    def restore_database(self, source: Path) -> None:
        """Put a backup back, while the server is stopped."""
        for file in self.home.glob("prefect.db*"):
            file.unlink()
        for file in source.glob("prefect.db*"):
            shutil.copy(file, self.home / file.name)

    def log(self) -> str:
        """What it has written so far."""
        return (self.home / "server.log").read_text()

    def requests(self) -> list[str]:
        """The requests that it has answered, without what tells one from another of their kind.
        With `PREFECT_SERVER_LOGGING_LEVEL=INFO` only."""
        lines = re.findall(r'"([A-Z]+ )/api(/[^ ?"]*)[^ "]* HTTP/1.1"', self.log())
        return [verb + _ID.sub("ID", path) for verb, path in lines]

    # -- its API ---------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, *, tries: int = 100) -> Any:
        """The JSON of an answer; a busy SQLite is asked again. Fails for a refusal."""
        # Each on a connection of its own: a kept one may be closed just when it is used.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if self.auth:
            headers |= urllib3.make_headers(basic_auth=self.auth)
        data = None if body is None else json.dumps(body).encode()
        for _ in range(tries):
            reply = self._http.request(method, self.url + path, body=data, headers=headers)
            if reply.status not in (500, 503):
                break
            time.sleep(0.2)
        assert reply.status < 400, (method, path, reply.status, reply.data[:500])
        return json.loads(reply.data) if reply.data else None

    def create_pool(self, name: str, **more: Any) -> str:
        """Its id."""
        body = {"name": name, "type": "process", "base_job_template": _TEMPLATE, **more}
        return str(self.call("POST", "/work_pools/", body)["id"])

    def create_queue(self, pool: str, name: str, **more: Any) -> str:
        """Its id."""
        return str(self.call("POST", f"/work_pools/{pool}/queues", {"name": name, **more})["id"])

    def deploy(
        self,
        name: str,
        pool: str,
        *,
        flow: str = "quick",
        queue: str | None = None,
        command: str | None = None,
        **more: Any,
    ) -> str:
        """The id of a deployment of a flow in `FLOWS`."""
        flow_id = self.call("POST", "/flows/", {"name": flow})["id"]
        variables = {"command": command or f"{self.programs}/prefect flow-run execute"}
        variables |= more.pop("job_variables", {})
        body = {
            "name": name,
            "flow_id": flow_id,
            "work_pool_name": pool,
            "work_queue_name": queue,
            "path": str(FLOWS),
            "entrypoint": f"flows.py:{flow}",
            "parameter_openapi_schema": {"type": "object", "properties": {}},
            "job_variables": variables,
            **more,
        }
        return str(self.call("POST", "/deployments/", body)["id"])

    def run(self, deployment: str, *, at: str | None = None, **more: Any) -> str:
        """The id of an ad-hoc run, now or at an ISO time."""
        details = {"scheduled_time": at} if at else {}
        body = {"state": {"type": "SCHEDULED", "state_details": details}, **more}
        return str(self.call("POST", f"/deployments/{deployment}/create_flow_run", body)["id"])

    def flow_run(self, run: str) -> Any:
        """A flow run as it is."""
        return self.call("GET", f"/flow_runs/{run}")

    def flow_runs(self, **wanted: Any) -> list[Any]:
        """Every flow run that fits a filter."""
        found: list[Any] = []
        while True:
            body = {"flow_runs": wanted, "limit": 200, "offset": len(found), "sort": "ID_DESC"}
            page = self.call("POST", "/flow_runs/filter", body)
            found += page
            if len(page) < 200:
                return found

    def states(self, run: str) -> list[Any]:
        """The states that a run was in, oldest first."""
        found = self.call("GET", f"/flow_run_states/?flow_run_id={run}")
        return sorted(found, key=lambda state: str(state["timestamp"]))

    def set_state(self, run: str, type_: str, **more: Any) -> Any:
        """What the server answers to a proposal."""
        body = {"state": {"type": type_, **more}}
        return self.call("POST", f"/flow_runs/{run}/set_state", body)


@dataclass(frozen=True)
class Stub:
    """A job that takes milliseconds where Prefect's engine takes seconds: it says Running and
    Completed to the server, and leaves a mark."""

    folder: Path

    @property
    def command(self) -> str:
        """For a deployment's job variable."""
        return f"sh {FLOWS / 'stub.sh'} {self.folder}"

    def started(self) -> list[str]:
        """The flow runs that were started, once for each time."""
        file = self.folder / "started"
        return file.read_text().split() if file.exists() else []
