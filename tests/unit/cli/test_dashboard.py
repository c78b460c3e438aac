"""Is the dashboard handed over to its owner, and to nobody else?"""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from push_dispatch.cli.backend import Backend
from push_dispatch.cli.commands import dashboard as command
from push_dispatch.cli.commands.local import _page
from push_dispatch.cli.options import Common
from push_dispatch.core.errors import Invalid, Refused
from push_dispatch.local.discovery import Record
from tests.fakes.world import World

HERE = Record("default", 1, 0, "", "", api="http://127.0.0.1:4711", token="s3cret")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a browser was started with."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    found: list[str] = []

    def open_(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_)
    return found


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: Any = Backend(World().ports, None, "", HERE)  # type: ignore[arg-type]
    monkeypatch.setattr(command, "backend", lambda _: chosen)


@pytest.mark.usefixtures("local")
def test_no_argument_of_a_process_has_the_token(
    opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command.dashboard()
    [url] = opened
    file = Path(urlsplit(url).path)
    assert "s3cret" not in url
    assert "s3cret" not in capsys.readouterr().out  # It is not a terminal.
    assert file.stat().st_mode & 0o077 == 0
    assert "url=http://127.0.0.1:4711/#token=s3cret" in file.read_text()


@pytest.mark.usefixtures("local")
def test_the_address_is_printed_to_whoever_wants_it(
    opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command.dashboard(no_browser=True)
    assert capsys.readouterr().out == "dashboard: http://127.0.0.1:4711/#token=s3cret\n"
    assert opened == []


def test_a_log_of_the_runtime_has_no_token() -> None:
    assert _page(HERE) == "http://127.0.0.1:4711/ (open it with: push-dispatch dashboard)"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://example.com"}, "ApiUrl"),
        ({"port": 70_000}, "--port 70000"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        command.dashboard(no_browser=True, **given)


def ask(address: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    connection = HTTPConnection(str(urlsplit(address).netloc), timeout=30)
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, port: int = 0) -> Iterator[str]:
    """The address of a page for a deployed system, whose table is in memory."""
    chosen: Any = Backend(World().ports, None, "")  # type: ignore[arg-type]
    monkeypatch.setattr(command, "backend", lambda _: chosen)
    with command._served(None, port, Common()) as (address, waits):
        assert waits
        yield address


def test_a_deployed_system_is_served_to_whoever_has_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served(monkeypatch) as address:
        token = urlsplit(address).fragment.removeprefix("token=")
        assert len(token) > 40
        status, headers = ask(address, "/")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert ask(address, "/v1/pools")[0] == 401
        assert ask(address, "/v1/pools", Authorization=f"Bearer {token}")[0] == 200
        for foreign in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            assert ask(address, "/", **foreign)[0] == 403
            assert ask(address, "/v1/pools", Authorization=f"Bearer {token}", **foreign)[0] == 403


def test_a_port_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch) as address:
        port = urlsplit(address).port
        with pytest.raises(Refused, match="try another --port"), served(monkeypatch, port or 0):
            pass
