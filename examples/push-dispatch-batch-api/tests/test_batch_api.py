"""Does the platform keep its promises? The whole contract, against a fake of the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from push_dispatch_batch_api import BatchApi

from push_dispatch.testing import PlatformContract


class FakeBatchApi:
    """Keeps jobs, refuses a name twice, and loses replies when told to."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.posted: list[dict[str, Any]] = []
        self.asked = 0
        self.lost: set[int] = set()
        self.throttled = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        _, _, name, *more = [*parts.path.split("/"), ""]
        if method == "POST" and not name:
            self.posted.append(body)
            if body["name"] in self.jobs:
                return 409, {}
            self.jobs[body["name"]] = {**body, "state": "queued", "log": []}
            return 201, {}
        if not name:
            names = parse_qs(parts.query)["names"][0].split(",")
            return 200, {"jobs": {n: self.jobs[n] for n in names if n in self.jobs}}
        job = self.jobs.get(name)
        if job is None:
            return 404, {}
        if "stop" in more and job["state"] != "ended":
            job |= {"state": "ended", "exit_code": 143}
        return 200, {"lines": job["log"]} if "log" in more else job

    # -- what the contract suite needs ------------------------------------------------------------

    def starts(self, name: str) -> int:
        return int(name in self.jobs)

    def calls(self) -> int:
        return self.asked

    def requests(self, name: str) -> Sequence[object]:
        return [body for body in self.posted if body["name"] == name]

    def environment(self, name: str) -> Mapping[str, str]:
        env: dict[str, str] = self.jobs[name]["env"]
        return env

    def begin(self, name: str) -> None:
        if self.jobs[name]["state"] == "queued":
            self.jobs[name]["state"] = "running"

    def finish(self, name: str, exit_code: int) -> None:
        self.jobs[name] |= {"state": "ended", "exit_code": exit_code}

    def write_log(self, name: str, line: str) -> None:
        self.jobs[name]["log"].append(line)

    def lose_reply(self, call: int = 0) -> None:
        self.lost.add(self.asked + call)

    def throttle_next(self) -> None:
        self.throttled = True

    def leftovers(self) -> list[str]:
        return [name for name, job in self.jobs.items() if job["state"] != "ended"]


class TestBatchApi(PlatformContract):
    platform_type = "batch-api"

    @pytest.fixture
    def fake(self) -> Iterator[FakeBatchApi]:
        fake = FakeBatchApi()
        yield fake
        fake.close()

    def connect(self, fake: FakeBatchApi) -> BatchApi:
        return BatchApi({"BATCH_API_URL": fake.url})

    def disconnected(self) -> BatchApi:
        return BatchApi({"BATCH_API_URL": "http://127.0.0.1:1"})

    def unknown_handle(self, fake: FakeBatchApi) -> str:
        return "pd-never-was-1"

    def template(self) -> Mapping[str, Any]:
        text = (Path(__file__).parents[1] / "template.json").read_text("utf-8")
        template: dict[str, Any] = json.loads(text)
        return template


def _handler(fake: FakeBatchApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            call, fake.asked = fake.asked, fake.asked + 1
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if fake.throttled:
                fake.throttled = False
                status, said = 429, {}
            else:
                status, said = fake.answer(self.command, self.path, body)
            if call in fake.lost:
                return  # the connection is closed without an answer
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
