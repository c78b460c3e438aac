"""Does the emulator of `local up --aws` answer anybody but its own runtime?

A web page that could post to it could put a run into the table, which executes a command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.local.emulated import Emulated
from push_dispatch.local.guard import bearer
from push_dispatch.local.ministack import MiniStack, session

TARGET = {
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Content-Type": "application/x-amz-json-1.0",
}
EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    folder = tmp_path_factory.mktemp("emulator")
    emulator = MiniStack(folder / "state", folder / "ministack.log")
    emulator.start()
    create_table(session(emulator.key).client("dynamodb", endpoint_url=emulator.endpoint), "table")
    yield emulator
    emulator.stop()


def answer(
    emulator: MiniStack,
    headers: Mapping[str, str],
    method: str = "POST",
    path: str = "/",
    body: bytes | None = b"{}",
) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection(urlsplit(emulator.endpoint).netloc, timeout=60)
    try:
        connection.request(method, path, body, {**TARGET, **headers})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def test_who_signs_with_its_key_is_answered(emulator: MiniStack) -> None:
    response, body = answer(emulator, {"Authorization": bearer(emulator.key)})
    assert (response.status, json.loads(body)) == (200, {"TableNames": ["table"]})
    localhost = {"Host": emulator.endpoint.replace("http://127.0.0.1", "localhost")}
    response, _ = answer(emulator, {"Authorization": bearer(emulator.key), **localhost})
    assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": bearer("local")},
        {"Authorization": bearer("0" * 40)},
        {"Authorization": "KEY"},
        {"Authorization": f"Bearer {bearer('KEY')}"},
        {"Origin": EVIL},
        {"Origin": EVIL, "Authorization": bearer("KEY")},
        {"Origin": "null", "Authorization": bearer("KEY")},
        {"Host": "evil.example", "Authorization": bearer("KEY")},
        {"Host": "127.0.0.1.evil.example", "Authorization": bearer("KEY")},
        {"Host": "169.254.169.254", "Authorization": bearer("KEY")},
    ],
    ids=str,
)
def test_who_does_not_or_comes_from_a_page_is_refused(
    emulator: MiniStack, headers: dict[str, str]
) -> None:
    """`KEY` stands for the right one: a page that knew it would be refused all the same."""
    sent = {name: value.replace("KEY", emulator.key) for name, value in headers.items()}
    response, body = answer(emulator, sent)
    assert response.status == 403
    assert "table" not in body
    assert emulator.key not in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", "/"),
        ("POST", "/_ministack/reset"),
        ("GET", "/_ministack/health"),
        ("GET", "/_localstack/health"),
        ("GET", f"/?X-Amz-Credential={'0' * 40}/20260101/us-east-1/dynamodb/aws4_request"),
    ],
)
def test_no_door_beside_it_is_open(emulator: MiniStack, method: str, path: str) -> None:
    """A browser's preflight, which gets no permission, and what needs none."""
    asks = {"Origin": EVIL, "Access-Control-Request-Headers": "x-amz-target"}
    for headers in (asks, {}):
        response, _ = answer(emulator, headers, method, path)
        assert response.status == 403
        assert not [name for name, _ in response.getheaders() if name.lower().startswith("access")]
    response, body = answer(emulator, {"Authorization": bearer(emulator.key)})
    assert json.loads(body) == {"TableNames": ["table"]}, "it was reset"


def test_a_web_socket_is_refused(emulator: MiniStack) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    response, _ = answer(emulator, upgrade, "GET", "/_aws/execute-api/x/y", None)
    assert response.status == 403


def test_clients_sign_with_it(emulator: MiniStack) -> None:
    ours = session(emulator.key).client("dynamodb", endpoint_url=emulator.endpoint)
    assert ours.list_tables()["TableNames"] == ["table"]
    others = session("local").client("dynamodb", endpoint_url=emulator.endpoint)
    with pytest.raises(ClientError) as refused:
        others.list_tables()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_another_start_has_another_key(tmp_path: Path, emulator: MiniStack) -> None:
    another = MiniStack(tmp_path / "state", tmp_path / "log")
    assert len({emulator.key, another.key}) == 2
    assert Emulated(tmp_path)._ministack.key != another.key
