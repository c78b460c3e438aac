"""Does the client find the system that the command line would find, and cost nothing to import?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from push_dispatch import Client, Invalid, NotFound
from push_dispatch.api.client.backend import Choice, found
from push_dispatch.api.client.errors import RunFailed, error_of
from push_dispatch.api.client.results import place_in, read_result
from push_dispatch.api.client.transport import Http, InProcess, sigv4

#: What takes long to import. `core.model` has 40 ms of classes.
_HEAVY = {
    "asyncio",
    "boto3",
    "botocore",
    "dataclasses",
    "datetime",
    "inspect",
    "json",
    "msgspec",
    "pathlib",
    "push_dispatch.core.model",
    "urllib3",
    "uuid",
}
_ENVIRONMENT = (
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "PUSH_DISPATCH_TABLE",
    "PUSH_DISPATCH_URL",
    "PUSH_DISPATCH_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in _ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_importing_the_client_loads_nothing_heavy() -> None:
    """Under 50 ms: on its own 40 ms, of which most is Python's `typing`."""
    code = "import sys; from push_dispatch import Client, Job; print(*sys.modules)"
    shown = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"sys = __import__('sys'); sys.path[:0] = {sys.path}; {code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert _HEAVY & set(shown.stdout.split()) == set()


def test_making_a_client_finds_nothing_yet() -> None:
    client = Client()
    with pytest.raises(Invalid) as caught:
        client.pools()
    assert caught.value.reason == "no_backend"


def test_a_url_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_DISPATCH_URL", "https://api.example")
    monkeypatch.setenv("PUSH_DISPATCH_TOKEN", "t")
    monkeypatch.setenv("PUSH_DISPATCH_TABLE", "x")
    backend = found(Choice())
    assert isinstance(backend.transport, Http)
    assert backend.transport.url == "https://api.example"


@pytest.mark.parametrize("url", ["http://api.example", "ftp://x", "api.example"])
def test_a_url_that_anybody_can_read_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="https"):
        found(Choice(url=url))


def test_a_table_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_DISPATCH_TABLE", "t")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert isinstance(found(Choice()).transport, InProcess)


def test_a_local_runtime_that_is_not_up_is_not_found() -> None:
    with pytest.raises(NotFound) as caught:
        found(Choice(local="x"))
    assert caught.value.reason == "no_backend"
    with pytest.raises(Invalid, match="excludes"):
        found(Choice(local="x", region="y"))


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://abc.lambda-url.eu-west-1.on.aws/", "lambda"),
        ("https://abc.execute-api.eu-west-1.amazonaws.com/", "execute-api"),
    ],
)
def test_requests_are_signed_for_what_stands_in_front(
    monkeypatch: pytest.MonkeyPatch, url: str, service: str
) -> None:
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    session = boto3.Session(region_name="eu-west-1")
    headers = sigv4(session, url)("POST", f"{url}v1/pools?limit=1", b"{}")
    assert f"/eu-west-1/{service}/aws4_request" in headers["Authorization"]


def test_a_reply_that_is_no_problem_is_an_error_too() -> None:
    error = error_of(502, None)
    assert (type(error).__name__, error.reason) == ("Unavailable", "backend_unavailable")
    assert "502" in error.message
    assert error_of(409, {"reason": "conflict", "detail": "x"}).reason == "conflict"


def test_a_failed_run_travels_between_processes() -> None:
    import pickle

    error = RunFailed({"id": "p.x", "state": "FAILED", "reason": "exit_code", "message": "m"})
    assert pickle.loads(pickle.dumps(error)).run == error.run


def test_the_same_key_has_the_same_place_for_its_result(tmp_path: Path) -> None:
    results = tmp_path.as_uri()
    assert place_in(results, "p", "k") == place_in(f"{results}/", "p", "k")
    assert place_in(results, "p", "k") != place_in(results, "q", "k")
    assert place_in(results, "p", "") != place_in(results, "p", "")
    with pytest.raises(NotFound):
        read_result(place_in(results, "p", "k"))
    for wrong in ("", "results", "gs://x"):
        with pytest.raises(Invalid, match="results"):
            place_in(wrong, "p", "k")
