"""A container engine on a unix socket: what Docker's HTTP API answers, with its traps.

- A name is taken from the creation of a container until it is removed: 409.
- A start that is repeated on a running container is answered with 304, on one that has ended it
  runs the command again: `starts` counts that too.
- A stop is answered when the container has stopped, or with 304 if it was never started.
- Logs come in frames of eight bytes and a payload.
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.fakes.rest_server import Answer, Request, RestServer

__all__ = ["FakeDocker"]

_API = {"ApiVersion": "1.45", "MinAPIVersion": "1.24"}
_NO_TIME = "0001-01-01T00:00:00Z"
_BEGAN = "2026-11-23T10:00:00.123456789Z"
_ENDED = "2026-11-23T10:01:00.987654321Z"


@dataclass
class Container:
    name: str
    body: dict[str, Any]
    id: str = field(default_factory=lambda: uuid4().hex * 2)
    status: str = "created"
    exit_code: int = 0
    oom: bool = False
    starts: int = 0
    logs: list[str] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Config": {
                "Labels": self.body.get("Labels") or {},
                "Env": self.body.get("Env") or [],
                "Image": self.body.get("Image"),
                "Tty": False,
            },
            "State": {
                "Status": self.status,
                "Running": self.status == "running",
                "ExitCode": self.exit_code,
                "OOMKilled": self.oom,
                "Error": "",
                "StartedAt": _BEGAN if self.starts else _NO_TIME,
                "FinishedAt": _ENDED if self.status == "exited" else _NO_TIME,
            },
            "HostConfig": self.body.get("HostConfig") or {},
            "NetworkSettings": {"Networks": {}},
        }


class FakeDocker(RestServer):
    """Images that are there: `images`. What a registry has besides: `registry`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pd-")
        self.socket = str(Path(self._folder.name) / "docker.sock")
        super().__init__(unix_socket=self.socket)
        self.containers: dict[str, Container] = {}
        self.images = {"job:1"}
        self.registry: set[str] = set()
        self.pulls: list[str] = []
        #: What its authorization plugin says of whoever asks.
        self.admits = True
        self._started: dict[str, int] = {}
        self._lost_calls: set[int] = set()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._folder.cleanup()

    @property
    def environ(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    # -- for the suite ---------------------------------------------------------------------------

    def starts(self, name: str) -> int:
        return self._started.get(name, 0)

    def calls(self) -> int:
        # The client asks for the version once per connection: its sign-in.
        return sum(1 for request in self.received if request.path != "/version")

    def lose_reply(self, call: int = 0) -> None:
        with self.lock:
            self._lost_calls.add(self.calls() + call)

    def requests(self, name: str) -> Sequence[object]:
        return [
            request.json
            for request in self.received
            if request.path.endswith("/containers/create") and request.query.get("name") == name
        ]

    def environment(self, name: str) -> Mapping[str, str]:
        pairs = self._named(name).body.get("Env") or []
        return dict(pair.split("=", 1) for pair in pairs)

    def begin(self, name: str) -> None:
        """A container that was started runs at once."""

    def finish(self, name: str, exit_code: int) -> None:
        with self.lock:
            container = self._named(name)
            container.status, container.exit_code = "exited", exit_code

    def write_log(self, name: str, line: str) -> None:
        with self.lock:
            self._named(name).logs.append(line)

    def leftovers(self) -> list[str]:
        return [container.name for container in self.containers.values()]

    def revoke(self) -> None:
        self.admits = False

    def throttled(self) -> Answer:
        return Answer(429, {"message": "too many requests"})

    # -- the engine ------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | None:
        with self.lock:
            if request.path == "/version":
                self.received.append(request)
                return self.answer(request)
            number = self.calls()
            answer = super().handle(request)
            return None if number in self._lost_calls else answer

    def answer(self, request: Request) -> Answer:
        path = re.sub(r"^/v[\d.]+", "", request.path)
        if not self.admits:
            return Answer(403, {"message": "authorization denied by plugin: who are you?"})
        match [request.method, *path.strip("/").split("/")]:
            case ["GET", "version"]:
                return Answer(200, {"Version": "27.0", **_API})
            case ["POST", "containers", "create"]:
                return self._create(request)
            case ["GET", "containers", "json"]:
                return self._list(request)
            case ["GET", "containers", name, "json"]:
                return self._inspect(name)
            case ["GET", "containers", name, "logs"]:
                return self._logs(name)
            case ["POST", "containers", name, "start"]:
                return self._start(name)
            case ["POST", "containers", name, "stop"]:
                return self._stop(name)
            case ["DELETE", "containers", name]:
                return self._remove(name, force=request.query.get("force") in {"1", "True", "true"})
            case ["POST", "images", "create"]:
                return self._pull(request)
        return Answer(404, {"message": f"page not found: {request.method} {path}"})

    def _create(self, request: Request) -> Answer:
        body, name = request.json, request.query.get("name", "")
        if self._find(name):
            return Answer(
                409, {"message": f'Conflict. The container name "/{name}" is already in use'}
            )
        if body["Image"] not in self.images:
            return Answer(404, {"message": f"No such image: {body['Image']}"})
        container = Container(name, body)
        self.containers[container.id] = container
        return Answer(201, {"Id": container.id, "Warnings": []})

    def _list(self, request: Request) -> Answer:
        wanted = json.loads(request.query.get("filters") or "{}").get("label", [])
        everything = request.query.get("all") in {"1", "True", "true"}
        found = [
            {
                "Id": c.id,
                "Names": [f"/{c.name}"],
                "Labels": c.body.get("Labels") or {},
                "State": c.status,
            }
            for c in self.containers.values()
            if (everything or c.status == "running")
            and all(label in (c.body.get("Labels") or {}) for label in wanted)
        ]
        return Answer(200, found)

    def _inspect(self, name: str) -> Answer:
        container = self._find(name)
        return Answer(200, container.document) if container else _gone(name)

    def _start(self, name: str) -> Answer:
        container = self._find(name)
        if container is None:
            return _gone(name)
        if container.status == "running":
            return Answer(304)
        container.status = "running"
        container.starts += 1
        self._started[container.name] = self._started.get(container.name, 0) + 1
        return Answer(204)

    def _stop(self, name: str) -> Answer:
        container = self._find(name)
        if container is None:
            return _gone(name)
        if container.status != "running":
            return Answer(304)
        container.status, container.exit_code = "exited", 143
        return Answer(204)

    def _logs(self, name: str) -> Answer:
        container = self._find(name)
        if container is None:
            return _gone(name)
        frames = (f"{line}\n".encode() for line in container.logs)
        content = b"".join(struct.pack(">BxxxL", 1, len(frame)) + frame for frame in frames)
        return Answer(200, content, {"Content-Type": "application/vnd.docker.raw-stream"})

    def _remove(self, name: str, *, force: bool) -> Answer:
        container = self._find(name)
        if container is None:
            return _gone(name)
        if container.status == "running" and not force:
            message = "cannot remove a running container: stop it before removal or force remove"
            return Answer(409, {"message": message})
        del self.containers[container.id]
        return Answer(204)

    def _pull(self, request: Request) -> Answer:
        image = request.query["fromImage"]
        if tag := request.query.get("tag"):
            image = f"{image}:{tag}"
        self.pulls.append(image)
        if image not in self.registry | self.images:
            # As a real engine does: in the middle of an answer that began well.
            return Answer(200, {"error": f"manifest for {image} not found"})
        self.images.add(image)
        return Answer(200, {"status": "Pull complete"})

    def _find(self, name: str) -> Container | None:
        for container in self.containers.values():
            if name in {container.id, container.name}:
                return container
        return None

    def _named(self, name: str) -> Container:
        container = self._find(name)
        assert container is not None
        return container


def _gone(name: str) -> Answer:
    return Answer(404, {"message": f"No such container: {name}"})
