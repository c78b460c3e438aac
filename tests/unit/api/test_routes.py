"""Does the HTTP API answer what the command line would, and say what is wrong?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from push_dispatch.api.routes import openapi, respond
from push_dispatch.control.documents import schema
from tests.fakes.world import POOL, World


@dataclass
class Api:
    """Asks as a function URL does."""

    world: World

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": urlencode(query),
            "queryStringParameters": {name: str(value) for name, value in query.items()},
            "headers": {"content-type": "application/json", **(headers or {})},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": body if body is None or isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = respond(self.world.ports, event, None)
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def api() -> Api:
    return Api(World())


def submitted(api: Api, **document: Any) -> str:
    wanted = {"pool": POOL, "job_variables": {"command": "true"}, **document}
    status, run = api("POST", "/runs", wanted)
    assert status == 201, run
    return str(run["id"])


def test_a_run_is_submitted_shown_and_cancelled(api: Api) -> None:
    run = submitted(api, tags=["a"], in_seconds=60)
    status, shown = api("GET", f"/runs/{run}")
    assert (status, shown["state"], shown["tags"]) == (200, "SCHEDULED", ["a"])
    assert shown["reason"] == "not_due"
    status, cancelled = api("POST", f"/runs/{run}/cancel")
    assert (status, cancelled["state"]) == (200, "CANCELLED")


@pytest.mark.parametrize("by_header", [True, False])
def test_asking_again_with_the_same_key_makes_one_run(api: Api, by_header: bool) -> None:
    key = {"idempotency-key": "k"} if by_header else {}
    document: dict[str, Any] = {"pool": POOL} | ({} if by_header else {"idempotency_key": "k"})
    document["job_variables"] = {"command": "true"}
    first = api("POST", "/runs", document, key)
    again = api("POST", "/runs", document, key)
    other = api("POST", "/runs", {**document, "retries": 3}, key)
    assert (other[0], other[1]["id"], other[1]["differs"]) == (200, first[1]["id"], ["retries"])
    assert (first[0], again[0]) == (201, 200)
    assert first[1]["id"] == again[1]["id"]
    assert len(api.world.runs()) == 1


def test_lists_are_of_a_pool_and_a_state(api: Api) -> None:
    runs = [submitted(api) for _ in range(3)]
    api("POST", f"/runs/{runs[0]}/cancel")
    assert [r["id"] for r in api("GET", "/runs")[1]] == runs[::-1]
    assert [r["id"] for r in api("GET", "/runs", limit=1, pool=POOL)[1]] == runs[2:]
    assert [r["id"] for r in api("GET", "/runs", state="CANCELLED")[1]] == runs[:1]


def test_a_pool_is_shown_paused_and_resumed(api: Api) -> None:
    [pool] = api("GET", "/pools")[1]
    assert pool == api("GET", f"/pools/{POOL}")[1]
    assert (pool["limit"], pool["paused"]) == (3, False)
    assert api("POST", f"/pools/{POOL}/pause")[1]["paused"] is True
    run = submitted(api)
    assert api("GET", f"/runs/{run}/explain")[1]["reason"] == "pool_paused"
    assert api("POST", f"/pools/{POOL}/resume")[1]["paused"] is False
    [queue] = api("POST", f"/pools/{POOL}/queues/default/pause")[1]["queues"]
    assert queue["paused"] is True
    api.world.deliver_all()
    [line] = api("GET", f"/pools/{POOL}/explain")[1]["queues"]
    assert line["reasons"] == {"queue_paused": 1}
    [queue] = api("POST", f"/pools/{POOL}/queues/default/resume")[1]["queues"]
    assert queue["paused"] is False


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (("GET", "/pools/nowhere"), 404, "pool_not_found"),
        (("GET", "/runs/p.0199c1f0-0000-7000-8000-0000000000ff"), 404, "run_not_found"),
        (("GET", "/runs/x"), 400, "invalid_input"),
        (("GET", "/nothing"), 404, "not_found"),
        (("DELETE", "/pools"), 404, "not_found"),
        (("POST", "/pools/p/queues/q/pause"), 404, "queue_not_found"),
        (("POST", "/runs", {"pool": "nowhere"}), 404, "pool_not_found"),
        (("POST", "/runs", {"pool": POOL, "queu": "x"}), 400, "invalid_input"),
        (("POST", "/runs", "{"), 400, "invalid_input"),
        (("POST", "/runs", []), 400, "invalid_input"),
        (("POST", "/runs"), 400, "invalid_input"),
    ],
)
def test_what_is_wrong_is_said(
    api: Api, request_: tuple[Any, ...], status: int, reason: str
) -> None:
    code, body = api(*request_)
    assert (code, body["reason"]) == (status, reason), body
    assert body["message"]


def test_a_wrong_parameter_is_named(api: Api) -> None:
    for query in ({"limit": 0}, {"limit": "many"}, {"state": "GONE"}):
        code, body = api("GET", "/runs", **query)
        assert (code, body["reason"]) == (400, "invalid_input")
        assert next(iter(query)) in body["message"]


def test_what_has_ended_cannot_be_cancelled(api: Api) -> None:
    run = submitted(api)
    api.world.drain()
    code, body = api("POST", f"/runs/{run}/cancel")
    assert (code, body["reason"]) == (409, "already_ended")


def test_the_openapi_document_has_every_path_and_the_request(api: Api) -> None:
    document = openapi()
    assert api("GET", "/openapi.json") == (200, json.loads(json.dumps(document)))
    paths = {(m.upper(), p) for p, of in document["paths"].items() for m in of}
    assert ("POST", "/runs") in paths
    assert ("POST", "/pools/{pool}/queues/{queue}/pause") in paths
    assert len(paths) == 12
    body = document["paths"]["/runs"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == schema()
