"""Does the report server of the local runtime bound what anybody on the machine sends to it?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.local.reports import ReportServer

HEARD: list[Any] = []


def handler(event: Any) -> dict[str, Any]:
    HEARD.append(event)
    return {"statusCode": 200, "headers": {}, "body": "{}"}


@pytest.fixture
def server() -> Iterator[ReportServer]:
    HEARD.clear()
    server = ReportServer(handler)
    server.start()
    yield server
    server.stop()


def message(server: ReportServer, *headers: str, body: str = "{}") -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = "\r\n".join(["POST / HTTP/1.1", *headers, "Connection: close", "", body])
        connection.sendall(head.encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_report_is_taken(server: ReportServer) -> None:
    answer = message(server, f"Host: 127.0.0.1:{server.port}", "Content-Length: 2")
    assert answer.startswith(b"HTTP/1.1 200")
    assert HEARD[0]["body"] == "{}"


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "999999999"])
def test_a_length_that_is_none_or_too_large_is_refused_unread(
    server: ReportServer, length: str
) -> None:
    answer = message(server, f"Host: 127.0.0.1:{server.port}", f"Content-Length: {length}")
    assert answer.split()[1] in (b"400", b"413")
    assert HEARD == []


@pytest.mark.parametrize(
    "headers", [("Origin: https://evil.example", "Host: 127.0.0.1:1"), ("Host: evil.example",), ()]
)
def test_a_web_page_is_refused(server: ReportServer, headers: tuple[str, ...]) -> None:
    assert message(server, *headers, "Content-Length: 2").startswith(b"HTTP/1.1 403")
    assert HEARD == []
