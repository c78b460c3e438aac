"""Does the wrapper, in both its languages, run the command once, and report what becomes of it?

Real processes, as a container starts them, against a real HTTP server.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.engine.reporter import KINDS, wrapped
from push_dispatch.testing.platform_contract import eventually
from tests.fakes.rest_server import Answer, Request, RestServer

MARK = "echo ran >> ran; echo hello"


class Stack(RestServer):
    """The other end."""

    def __init__(self) -> None:
        super().__init__()
        self.go = True
        self.stop = False
        self.heard: list[dict[str, Any]] = []
        #: What requests in a moment of trouble are answered with.
        self.trouble = 503
        #: How many of them there are before any is taken.
        self.down = 0

    def answer(self, request: Request) -> Answer:
        token = request.headers.get("authorization") or f"Bearer {request.json.get('token')}"
        if token != "Bearer t0ken":
            return Answer(401, {"message": "not yours"})
        if self.down:
            self.down -= 1
            return Answer(self.trouble, {})
        self.heard.append({k: v for k, v in request.json.items() if k != "token"})
        return Answer(200, {"go": self.go, "stop": self.stop})

    def message(self, what: str) -> list[dict[str, Any]]:
        return [report for report in self.heard if report["what"] == what]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture(params=[*KINDS, "sh without curl"])
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """`sh` is run with curl, and with wget only."""
    name: str = request.param
    if name == "sh without curl":
        if shutil.which("wget") is None:
            pytest.skip("wget is not installed")
        tools = tmp_path / "tools"
        tools.mkdir()
        for tool in (
            "sh",
            "wget",
            "cat",
            "date",
            "sleep",
            "kill",
            "env",
            "python3",
            "printf",
            "rm",
            "cut",
        ):
            if found := shutil.which(tool):
                (tools / tool).symlink_to(found)
        monkeypatch.setenv("PATH", str(tools))
    elif name == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return name.partition(" ")[0]


class Job:
    """The wrapper around a command, in a folder of its own."""

    def __init__(self, kind: str, url: str, folder: Path, command: list[str], **more: str) -> None:
        words = shlex.split(wrapped(kind, command))
        if words[0] == "python3":
            words[0] = sys.executable
        env = {
            "PATH": os.environ["PATH"],
            "PUSH_DISPATCH_RUN_ID": "etl.0199c1f0-0000-7000-8000-000000000001",
            "PUSH_DISPATCH_ATTEMPT": "2",
            "PUSH_DISPATCH_REPORT_URL": url,
            "PUSH_DISPATCH_REPORT_TOKEN": "t0ken",
            "PUSH_DISPATCH_REPORT_SECONDS": "0.1",
            "PUSH_DISPATCH_REPORT_PATIENCE": "60",
            **more,
        }
        self._folder = folder
        self.process = subprocess.Popen(
            words, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    @property
    def ran(self) -> bool:
        return (self._folder / "ran").exists()


@pytest.mark.parametrize("code", [0, 3])
def test_the_command_runs_and_its_end_is_told(
    kind: str, stack: Stack, tmp_path: Path, code: int
) -> None:
    job = Job(kind, stack.url, tmp_path, ["sh", "-c", f"{MARK} 'a b'; exit {code}"])
    assert job.end() == (code, "hello a b\n", "")
    [claim], [end] = stack.message("claim"), stack.message("end")
    assert (claim["run"], claim["attempt"]) == ("etl.0199c1f0-0000-7000-8000-000000000001", 2)
    assert (end["exit_code"], end["by"]) == (code, claim["by"])


def test_a_second_copy_does_not_run_it(kind: str, stack: Stack, tmp_path: Path) -> None:
    stack.go = False
    job = Job(kind, stack.url, tmp_path, ["sh", "-c", MARK])
    code, out, err = job.end()
    assert (code, out, job.ran) == (76, "", False)
    assert "another copy" in err
    assert stack.message("end") == []


def test_nobody_answers_and_it_is_not_run(kind: str, stack: Stack, tmp_path: Path) -> None:
    job = Job(
        kind, "http://127.0.0.1:1/", tmp_path, ["sh", "-c", MARK], PUSH_DISPATCH_REPORT_PATIENCE="1"
    )
    code, _, err = job.end()
    assert (code, job.ran) == (75, False)
    assert "no answer" in err


@pytest.mark.parametrize("trouble", [503, 429], ids=["down", "too many requests"])
def test_a_moment_of_trouble_is_waited_for(
    kind: str, stack: Stack, tmp_path: Path, trouble: int
) -> None:
    stack.down, stack.trouble = 1, trouble
    job = Job(kind, stack.url, tmp_path, ["sh", "-c", MARK])
    assert job.end()[0] == 0
    assert len(stack.message("end")) == 1


@pytest.mark.parametrize("url", ["http://reports.example.com/", "ftp://127.0.0.1/", ""])
def test_the_token_is_never_sent_in_clear(kind: str, tmp_path: Path, url: str) -> None:
    job = Job(kind, url, tmp_path, ["sh", "-c", MARK])
    code, _, err = job.end()
    assert (code, job.ran) == (78, False)
    assert "must be https" in err


def test_the_command_does_not_see_the_token(kind: str, stack: Stack, tmp_path: Path) -> None:
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    _, out, _ = Job(kind, stack.url, tmp_path, [sys.executable, "-c", show]).end()
    assert "t0ken" not in out
    assert json.loads(out)["PUSH_DISPATCH_ATTEMPT"] == "2"


def test_an_order_to_stop_is_passed_on(kind: str, stack: Stack, tmp_path: Path) -> None:
    trap = "trap 'echo bye; exit 9' TERM; echo ran >> ran; while :; do sleep 0.05; done"
    job = Job(kind, stack.url, tmp_path, ["sh", "-c", trap])
    eventually(lambda: job.ran)
    job.process.send_signal(signal.SIGTERM)
    code, out, _ = job.end()
    assert (code, out) == (9, "bye\n")
    assert [end["exit_code"] for end in stack.message("end")] == [9]


def test_a_cancellation_comes_with_the_answer(kind: str, stack: Stack, tmp_path: Path) -> None:
    job = Job(kind, stack.url, tmp_path, ["sh", "-c", "echo ran >> ran; exec sleep 900"])
    eventually(lambda: job.ran)
    stack.stop = True
    assert job.end()[0] == 143
    assert [end["exit_code"] for end in stack.message("end")] == [143]


def test_one_that_ignores_it_is_killed(kind: str, stack: Stack, tmp_path: Path) -> None:
    stubborn = "trap '' TERM; echo ran >> ran; while :; do sleep 0.05; done"
    job = Job(kind, stack.url, tmp_path, ["sh", "-c", stubborn], PUSH_DISPATCH_REPORT_GRACE="0.3")
    eventually(lambda: job.ran)
    stack.stop = True
    assert job.end()[0] == 137


def test_a_command_that_does_not_exist_says_so(kind: str, stack: Stack, tmp_path: Path) -> None:
    code, _, _ = Job(kind, stack.url, tmp_path, ["no-such-command"]).end()
    assert code == 127
    assert [end["exit_code"] for end in stack.message("end")] == [127]


def test_it_fits_beside_a_command_into_ecs() -> None:
    """Whose overrides take 8192 characters in all, quotes and backslashes doubled."""
    for kind in KINDS:
        words = shlex.split(wrapped(kind, "true"))
        assert len(json.dumps(words)) < 3000
        assert shlex.split(wrapped(kind, "echo 'a b' \"c\""))[-3:] == ["echo", "a b", "c"]


def test_copies_that_start_at_once_are_told_apart(stack: Stack, tmp_path: Path) -> None:
    jobs = [Job("python", stack.url, tmp_path, ["true"]) for _ in range(2)]
    threads = [threading.Thread(target=job.end) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({claim["by"] for claim in stack.message("claim")}) == 2


# -- nothing is left behind ----------------------------------------------------------------------


def _alive(mark: str) -> list[str]:
    """The processes that have this in their environment, by their command lines."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().decode().replace("\0", " "))
            except OSError:
                continue
    return [command for command in found if command]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_no_heartbeat_outlives_its_command(stack: Stack, tmp_path: Path) -> None:
    mark = f"m{os.getpid()}-{tmp_path.name}"
    for command in (["true"], ["no-such-command"], ["sh", "-c", "exit 3"]) * 5:
        more = {"MARK": mark, "PUSH_DISPATCH_REPORT_SECONDS": "3600"}
        Job("sh", stack.url, tmp_path, command, **more).end()
    eventually(lambda: _alive(mark) == [])


@pytest.mark.skipif(not shutil.which("wget"), reason="needs wget")
def test_wget_is_given_no_token_on_its_command_line() -> None:
    """Everybody on a machine may read command lines."""
    source = wrapped("sh", "true")
    [post] = [line for line in source.splitlines() if "--post-file" in line and "wget -q" in line]
    assert "$token" not in post
