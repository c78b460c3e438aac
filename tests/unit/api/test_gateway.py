"""Do events of function URLs and HTTP APIs reach the table of routes, whatever their path is?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from push_dispatch.api.gateway import answered
from push_dispatch.api.v1 import TABLE
from tests.fakes.world import POOL, World

RUN = "p.0199c1f0-0000-7000-8000-0000000000ff"


def ask(method: str, path: str, stage: str = "$default") -> dict[str, Any]:
    context = {"http": {"method": method, "path": path}, "stage": stage}
    return answered(World().ports, {"rawPath": path, "requestContext": context})


def test_the_name_of_a_stage_is_no_part_of_the_path() -> None:
    reply = ask("GET", f"/live/v1/pools/{POOL}", "live")
    assert (reply["statusCode"], json.loads(reply["body"])["name"]) == (200, POOL)


@pytest.mark.parametrize(
    ("method", "path", "now"),
    [
        ("GET", "/pools", "/v1/pools"),
        ("GET", "/pools/p", "/v1/pools/p"),
        ("GET", "/pools/p/explain", "/v1/pools/p/explain"),
        ("POST", "/pools/p/pause", "/v1/pools/p/pause"),
        ("POST", "/pools/p/resume", "/v1/pools/p/resume"),
        ("POST", "/pools/p/queues/q/pause", "/v1/pools/p/queues/q/pause"),
        ("POST", "/pools/p/queues/q/resume", "/v1/pools/p/queues/q/resume"),
        ("GET", "/runs", "/v1/pools/{pool}/runs"),
        ("POST", "/runs", "/v1/pools/{pool}/runs"),
        ("GET", f"/runs/{RUN}", f"/v1/pools/p/runs/{RUN}"),
        ("GET", f"/runs/{RUN}/explain", f"/v1/pools/p/runs/{RUN}/explain"),
        ("POST", f"/runs/{RUN}/cancel", f"/v1/pools/p/runs/{RUN}/cancel"),
        ("GET", "/openapi.json", "/v1/openapi.json"),
    ],
)
def test_a_path_without_a_version_leads_to_the_one_that_took_its_place(
    method: str, path: str, now: str
) -> None:
    reply = ask(method, path)
    assert (reply["statusCode"], reply["headers"]["Content-Type"]) == (
        404,
        "application/problem+json",
    )
    assert f"there is no {path}, but {now}; " in json.loads(reply["body"])["detail"]
    segments = now.removeprefix("/").split("/")
    assert any(r.method == method and r.match(segments) is not None for r in TABLE.routes)


def test_a_path_that_never_was_leads_to_the_document() -> None:
    problem = json.loads(ask("GET", "/nothing")["body"])
    assert problem["reason"] == "not_found"
    assert problem["detail"] == "there is no /nothing; GET /v1/openapi.json lists all paths"
