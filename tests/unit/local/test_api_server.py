"""Who is let in to the API on loopback, and does every request get an answer?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from push_dispatch.api.gateway import reply_to
from push_dispatch.api.v1 import Reply
from push_dispatch.local.api_server import ApiServer
from tests.fakes.world import World

TOKEN = "secret"
GOOD = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    world = World()

    def pages(path: str) -> Reply | None:
        return Reply(200, b"<p>", {}, "text/html") if path == "/" else None

    found = ApiServer(lambda request: reply_to(world.ports, request), TOKEN, pages=pages)
    found.start()
    yield found
    found.stop()


def ask(
    server: ApiServer,
    method: str = "GET",
    path: str = "/v1/pools",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any, Mapping[str, str]]:
    connection = HTTPConnection(str(urlsplit(server.url).netloc), timeout=30)
    connection.request(method, path, body or None, dict(GOOD if headers is None else headers))
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    shown = {name.lower(): value for name, value in reply.getheaders()}
    value = json.loads(data) if data and "json" in shown["content-type"] else data.decode()
    return reply.status, value, shown


def test_whoever_has_the_token_is_answered(server: ApiServer) -> None:
    status, pools, headers = ask(server)
    assert (status, pools["items"][0]["name"]) == (200, "p")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer other"}, {"Authorization": TOKEN}]
)
def test_without_the_token_nothing_is_shown(server: ApiServer, headers: dict[str, str]) -> None:
    status, problem, shown = ask(server, headers=headers)
    assert (status, problem["reason"]) == (401, "unauthenticated")
    assert shown["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {**GOOD, "Origin": "https://evil.example"},
        {**GOOD, "Origin": "null"},
        {**GOOD, "Host": "evil.example"},
        {**GOOD, "Host": "127.0.0.1.evil.example:80"},
    ],
)
def test_no_other_web_site_is_answered(server: ApiServer, headers: dict[str, str]) -> None:
    status, problem, shown = ask(server, headers=headers)
    assert (status, problem["reason"]) == (403, "foreign_origin")
    assert not any(name.startswith("access-control") for name in shown)


def test_its_own_page_is_answered(server: ApiServer) -> None:
    assert ask(server, headers={**GOOD, "Origin": server.url})[0] == 200
    assert ask(server, path="/", headers={})[:2] == (200, "<p>")


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "TRACE", "QUERY"])
def test_a_method_that_a_path_does_not_take_is_a_problem(server: ApiServer, method: str) -> None:
    status, problem, headers = ask(server, method)
    assert (status, problem["status"], headers["allow"]) == (405, 405, "GET")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"type": 7}', 400),
        (b'{"type": "process", "x": 1}', 400),
        (b'{"type": "\\ud800"}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 10_000, 400),
        (b'{"type": ' + b"9" * 5000 + b"}", 400),
        (b'{"type": "process", "limit": 1e400}', 400),
        (b'{"type": "process", "limit": NaN}', 400),
        (b'{"type": "nonsense"}', 422),
    ],
)
def test_a_malformed_body_is_a_problem(server: ApiServer, body: bytes, status: int) -> None:
    got, problem, _ = ask(server, "PUT", "/v1/pools/x", body)
    assert (got, problem["status"]) == (status, status)
    assert problem["detail"]
    assert ask(server, path="/v1/pools/x")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/pools/%00",
        "/v1/pools/%ff",
        "/v1/pools/a%2Fb",
        "/v1/pools/" + "x" * 5000,
        "/v1/pools/p/runs/nonsense",
        "/v1/pools?limit=x",
        "/v1/pools?limit=0",
        "/v1/pools?nonsense=1",
        "/v1/pools/p/runs?submitted_from=2027-01-01",
        "/v1/pools//runs",
    ],
)
def test_a_malformed_path_or_query_is_a_problem(server: ApiServer, path: str) -> None:
    status, problem, _ = ask(server, path=path)
    assert status in (400, 404)
    assert problem["status"] == status


def test_another_media_type_is_refused(server: ApiServer) -> None:
    headers = {**GOOD, "Content-Type": "application/x-www-form-urlencoded"}
    assert ask(server, "PUT", "/v1/pools/x", b"type=process", headers)[0] == 415


def test_a_body_that_is_too_long_is_not_read(server: ApiServer) -> None:
    status, problem, _ = ask(
        server, "PUT", "/v1/pools/x", b" ", {**GOOD, "Content-Length": "9000000"}
    )
    assert (status, problem["status"]) == (413, 413)
