"""Requests of version 1 of the HTTP API, without a server. Every answer is held to its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from push_dispatch.api.v1 import TABLE, Reply, Request
from push_dispatch.api.v1.answers import Problem
from push_dispatch.core.reasons import REASONS
from tests.fakes.world import World

__all__ = ["Api", "Got"]


@dataclass(frozen=True)
class Got:
    """A reply."""

    status: int
    json: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """Of a problem."""
        return str(self.json["reason"])


@dataclass
class Api:
    """Asks the table of routes; time passes only where the API sleeps."""

    world: World

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Got:
        request = Request(
            method,
            f"/v1{path}",
            {name: _texts(value) for name, value in query.items()},
            {name.lower(): value for name, value in (headers or {}).items()},
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode(),
        )
        reply = TABLE.answer(self.world.ports, request, sleep=self._sleep)
        _hold_to_its_type(request, reply)
        return Got(reply.status, reply.json, reply.headers)

    def submit(self, pool: str = "p", **document: Any) -> str:
        """The id of a new run."""
        wanted = {"job_variables": {"command": "true"}, **document}
        got = self("POST", f"/pools/{pool}/runs", wanted)
        assert got.status in (200, 201), got.json
        return str(got.json["run"]["id"])

    def _sleep(self, seconds: float) -> None:
        self.world.now += int(seconds * 1000)
        self.world.deliver_all()


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(json.dumps(v) if isinstance(v, bool) else str(v) for v in values)


def _hold_to_its_type(request: Request, reply: Reply) -> None:
    if reply.status >= 400:
        assert reply.type == "application/problem+json"
        problem = msgspec.convert(reply.json, Problem)
        assert problem.status == reply.status
        assert problem.reason in REASONS
        return
    segments = request.path.removeprefix("/").split("/")
    route = next(
        r for r in TABLE.routes if r.method == request.method and r.match(segments) is not None
    )
    msgspec.convert(reply.json, route.answers[reply.status])
    assert route.etag == ("ETag" in reply.headers)
