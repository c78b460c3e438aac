"""Does our Runtime API treat functions as Lambda does? With handlers that do what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.infra.tools.lambda_runtime import Failed, Function, runtime_client

HANDLERS = """
import os, time

calls = 0

def echo(event, context):
    global calls
    calls += 1
    return {"event": event, "calls": calls, "name": context.function_name, "pid": os.getpid()}

def act(event, context):
    if event.get("exit"):
        os._exit(3)
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("raise"):
        raise ValueError("no")
    if event.get("import"):
        __import__(event["import"])
    return {"pid": os.getpid(), "home": os.environ.get("HOME"), "mine": os.environ["MINE"]}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runtime_client(tmp_path_factory.mktemp("client"))


def function(tmp_path: Path, client: Path, name: str, seconds: int = 20) -> Function:
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text(HANDLERS)
    log = tmp_path / "log"
    return Function(name, f"app.{name}", code, {"MINE": "yes"}, seconds, client, log)


@pytest.fixture
def act(tmp_path: Path, client: Path) -> Iterator[Function]:
    with function(tmp_path, client, "act") as made:
        yield made


def test_a_warm_sandbox_is_used_again(tmp_path: Path, client: Path) -> None:
    with function(tmp_path, client, "echo") as echo:
        first, second = echo({"n": 1}), echo({"n": 2})
    assert (first["event"], second["event"]) == ({"n": 1}, {"n": 2})
    assert (first["calls"], second["calls"]) == (1, 2)
    assert (first["pid"], first["name"]) == (second["pid"], "echo")


def test_times_are_numbers_and_bytes_are_base64(tmp_path: Path, client: Path) -> None:
    event = {"at": datetime(2026, 11, 23, tzinfo=UTC), "image": {"B": b"\x00\x01"}}
    with function(tmp_path, client, "echo") as echo:
        assert echo(event)["event"] == {"at": 1795392000, "image": {"B": "AAE="}}


def test_an_exception_is_told_and_costs_nothing_else(act: Function) -> None:
    before = act({})["pid"]
    with pytest.raises(Failed, match="ValueError"):
        act({"raise": True})
    assert act({})["pid"] == before


def test_an_exit_is_told_and_costs_the_sandbox(act: Function) -> None:
    before = act({})["pid"]
    with pytest.raises(Failed, match="ended with 3"):
        act({"exit": True})
    assert act({})["pid"] != before


def test_what_takes_too_long_is_ended(tmp_path: Path, client: Path) -> None:
    with function(tmp_path, client, "act", seconds=1) as act:
        with pytest.raises(Failed, match="within 1 s"):
            act({"sleep": 60})
        # The next one starts Python, which takes longer than a second on a busy machine.
        act.timeout_seconds = 60
        assert act({})["mine"] == "yes"


def test_only_what_was_built_can_be_imported(act: Function) -> None:
    with pytest.raises(Failed, match="No module named 'boto3'"):
        act({"import": "boto3"})
    assert act({})["home"] is None


def test_a_handler_that_cannot_be_loaded_is_told(tmp_path: Path, client: Path) -> None:
    with (
        function(tmp_path, client, "missing") as missing,
        pytest.raises(Failed, match="missing"),
    ):
        missing({})
