"""What is sent to a Prefect server again, when, and what is left to the caller?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from push_dispatch.adapters.prefect.rest import Rest
from push_dispatch.adapters.prefect.server import connect
from push_dispatch.core.errors import Invalid, Refused, Rejected, Unavailable
from push_dispatch.ports.prefect import Address, Overloaded
from tests.fakes.bridged import Clock, _Secrets
from tests.fakes.prefect import FakePrefect
from tests.fakes.rest_server import Answer, Request


class Server(FakePrefect):
    csrf = ""

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/csrf-token":
            self.csrf = request.query["client"]
            return Answer(200, {"token": f"token-of-{self.csrf}", "client": self.csrf})
        wanted = {"prefect-csrf-token": f"token-of-{self.csrf}", "prefect-csrf-client": self.csrf}
        given = {name: request.headers.get(name) for name in wanted}
        if self.wants_csrf and request.method != "GET" and (given != wanted or not self.csrf):
            return Answer(403, {"detail": "Missing CSRF token."})
        return super().answer(request)

    wants_csrf = False


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Clock()) as started:
        yield started


def rest(server: FakePrefect, pauses: list[float] | None = None) -> Rest:
    found: list[float] = [] if pauses is None else pauses
    return Rest(server.api, {}, pause=found.append, wall=lambda: 1_800_000_000.0)


def test_a_busy_server_is_asked_again_with_growing_pauses(server: Server) -> None:
    pauses: list[float] = []
    for _ in range(3):
        server.refuse_next(Answer(503, {"exception_message": "Service Unavailable"}))
    assert rest(server, pauses).call("GET", "/admin/version").json == "3.9.1"
    assert pauses == [0.3, 0.6, 1.2]


def test_a_server_that_stays_busy_is_left_alone(server: Server) -> None:
    client = rest(server)
    for _ in range(20):
        server.refuse_next(Answer(503, {}))
    with pytest.raises(Overloaded):
        client.call("GET", "/admin/version")
    assert client.requests <= 8


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), ("Fri, 15 Jan 2027 08:02:00 GMT", 120.0), ("nonsense", None)],
)
def test_a_retry_after_is_for_the_caller(server: Server, text: str, seconds: float | None) -> None:
    for _ in range(9):
        server.refuse_next(Answer(503, {}, {"Retry-After": text, "Prefect-Maintenance": "true"}))
    client = rest(server)
    with pytest.raises(Overloaded) as raised:
        client.call("GET", "/admin/version")
    assert raised.value.after_seconds == seconds
    assert client.requests == 1


def test_a_short_retry_after_is_waited_for(server: Server) -> None:
    pauses: list[float] = []
    server.refuse_next(Answer(429, {}, {"Retry-After": "1"}))
    rest(server, pauses).call("GET", "/admin/version")
    assert pauses == [1.0]


def test_a_connection_that_was_closed_meanwhile_is_replaced_at_once(server: Server) -> None:
    pauses: list[float] = []
    client = rest(server, pauses)
    client.call("GET", "/admin/version")
    server.lose_reply(0)
    assert client.call("GET", "/admin/version").json == "3.9.1"
    assert pauses == []
    server.down = True
    with pytest.raises(Unavailable):
        client.call("GET", "/admin/version")


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused(server: Server, status: int) -> None:
    server.refuse_next(Answer(status, {"detail": "Unauthorized"}))
    with pytest.raises(Refused, match="refuses the credentials: Unauthorized"):
        rest(server).call("GET", "/admin/version")


def test_a_server_with_csrf_protection(server: Server) -> None:
    server.wants_csrf = True
    client = rest(server)
    assert client.call("POST", "/work_pools/filter", {"work_pools": {}}).status == 200
    assert client.requests == 3
    client.call("POST", "/work_pools/filter", {"work_pools": {}})
    assert client.requests == 4, "the token is kept"


def test_an_answer_that_is_no_json(server: Server) -> None:
    server.refuse_next(Answer(200, b"<html>a proxy</html>"))
    with pytest.raises(Unavailable, match="is not Prefect's API"):
        _ = rest(server).call("GET", "/admin/version").json


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.refuse_next(Answer(302, {}, {"Location": "http://127.0.0.1:9/"}))
    with pytest.raises(Unavailable):
        rest(server).call("GET", "/admin/version")


@pytest.mark.parametrize(
    ("address", "header", "value"),
    [
        ({"auth_secret": "basic"}, "authorization", "Basic YWRtaW46cGFzcw=="),
        ({"key_secret": "key"}, "authorization", "Bearer pnu_123"),
        ({"headers": {"X-Plain": "1"}}, "x-plain", "1"),
        ({"headers_secret": "headers"}, "x-access", "id"),
    ],
)
def test_how_it_signs_in(
    server: Server, address: dict[str, object], header: str, value: str
) -> None:
    secrets = _Secrets({"basic": "admin:pass", "key": "pnu_123", "headers": '{"X-Access": "id"}'})
    opened = connect(Address(server.api, **address), secrets)  # type: ignore[arg-type]
    opened.version()
    assert server.received[-1].headers[header] == value


def test_a_secret_that_is_missing_is_named(server: Server) -> None:
    with pytest.raises(Rejected, match="secret 'key' of the Prefect server"):
        connect(Address(server.api, key_secret="key"), _Secrets({}))


@pytest.mark.parametrize("value", ["s3cret", "[1]", '{"A": 1}'])
def test_headers_that_are_none_are_refused_without_the_secret(server: Server, value: str) -> None:
    with pytest.raises(Invalid, match="'h' is no JSON object of headers") as raised:
        connect(Address(server.api, headers_secret="h"), _Secrets({"h": value}))
    assert "s3cret" not in raised.value.message


def test_a_file_of_certificates_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "none.pem"
    with pytest.raises(Invalid, match="cannot be read"):
        connect(Address("https://localhost/api", ca_file=str(file)), _Secrets({}))


def test_more_than_a_page_of_runs_is_read_to_the_end(server: Server) -> None:
    pool = server.pool("etl")
    deployment = server.deployment("d", pool)
    runs = {server.flow_run(deployment) for _ in range(450)}
    opened = connect(Address(server.api), _Secrets({}))
    found = opened.watched([pool["id"]], server.clock() + 1000)
    assert {run.id for run in found} == runs
