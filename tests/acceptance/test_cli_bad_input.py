"""Is every mistake answered by one line with a reason, the right exit code, and no traceback?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.local import Cli, LocalUp, eventually

LONG = "x" * 64


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("run", "submit", "nowhere", "--", "true"), 1, "pool_not_found"),
        (("run", "submit", "bad", "--queue", "nope", "--", "true"), 1, "queue_not_found"),
        (("run", "submit", "bad", "--at", "tomorrow", "--", "true"), 2, "invalid_time"),
        (("run", "submit", "bad", "--at", "2026-12-01T09:00", "--", "true"), 2, "invalid_time"),
        (("run", "submit", "bad", "--in", "soon", "--", "true"), 2, "invalid_time"),
        (("run", "submit", "bad", "--retries", "-1", "--", "true"), 2, "invalid_input"),
        (("run", "submit", "bad", "--retries", "1.5", "--", "true"), 2, "usage"),
        (("run", "submit", "bad"), 1, "invalid_variables"),
        (("run", "submit", "bad", "--var", "command=echo 'it"), 1, "invalid_variables"),
        (("run", "submit", "bad", "--count", "0", "--", "true"), 2, "invalid_input"),
        (("run", "submit", "bad", "--var", "novalue", "--", "true"), 2, "invalid_input"),
        (("run", "submit", "bad", "--var", "comand=x"), 1, "invalid_variables"),
        (("run", "submit", "bad", "--vars", "no-such-file"), 2, "invalid_input"),
        (("run", "inspect", "not-an-id"), 1, "run_not_found"),
        (("run", "inspect", "bad.0199c1f0-1111-7222-8333-444455556666"), 1, "run_not_found"),
        (("run", "frobnicate"), 2, "usage"),
        (("pool", "create", "p", "--type", "process", "--limit", "-1"), 2, "invalid_limit"),
        (("pool", "create", "p", "--type", "process", "--limit", "many"), 2, "usage"),
        (("pool", "create", "p", "--type", "ecz"), 1, "unknown_type"),
        (("pool", "create", LONG, "--type", "process"), 2, "invalid_name"),
        (("pool", "create", "a b", "--type", "process"), 2, "invalid_name"),
        (("pool", "create", "bad", "--type", "process"), 1, "pool_exists"),
        (("queue", "create", "q", "--pool", "bad", "--priority", "0"), 2, "invalid_priority"),
        (("queue", "create", "q", "--pool", "bad", "--priority", "1.5"), 2, "usage"),
        (("pool", "update", "bad", "--rate", "1001/1s"), 2, "invalid_input"),
        (("queue", "delete", "default", "--pool", "bad"), 1, "default_queue"),
        (("queue", "ls", "--pool", "nowhere"), 1, "pool_not_found"),
        (("pool", "ls", "--local", "nowhere"), 1, "no_backend"),
    ],
    ids=lambda value: "-".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_line_with_its_reason(
    bad: Cli, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    done = bad(*arguments)
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.err
    assert errors[0].endswith(f"[{reason}]")
    assert done.code == code
    assert done.out == ""


def test_a_run_larger_than_the_table_takes_is_refused(bad: Cli, tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text(f"command: {'x' * 400_000}")
    done = bad("run", "submit", "bad", "--vars", str(file))
    assert (done.code, "[run_too_large]" in done.err) == (1, True)
    assert bad.ok("run", "ls", "--pool", "bad", "--json").json == []


def test_a_command_that_does_not_exist_ends_the_run_with_its_reason(bad: Cli) -> None:
    bad.ok("pool", "create", "missing", "--type", "process")
    done = bad("run", "submit", "missing", "--wait", "--json", "--", "no-such-program")
    assert (done.code, done.json["state"]) == (1, "CRASHED")
    assert '"reason": "command_not_found"' in done.err


def test_a_platform_that_is_down_keeps_the_run_and_tells_why(tmp_path: Path) -> None:
    nowhere = {
        "AWS_ENDPOINT_URL_ECS": "http://127.0.0.1:1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    cli = Cli(tmp_path, nowhere)
    with LocalUp(cli):
        cli.ok("pool", "create", "down", "--type", "ecs", "--limit", "1")
        options = ("--var", "image=busybox", "--var", "cluster=c")
        run_id = cli.ok("run", "submit", "down", *options, "--", "true").out.strip()

        def run() -> Any:
            return cli.ok("run", "inspect", run_id, "--json").json

        eventually(lambda: bool(run()["attempts"]))
        done = cli("run", "wait", run_id, "--timeout", "1s")
        assert (done.code, "[timeout]" in done.err) == (1, True), done.err
        assert run()["state"] == "PENDING"
        assert run()["attempts"][0]["handle"] is None


def test_without_any_backend_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    done = Cli(tmp_path).typed("pool", "ls")
    assert (done.code, "[no_backend]" in done.err) == (1, True)
    assert "push-dispatch local up" in done.err


@pytest.fixture(scope="module")
def bad(cli: Cli) -> Cli:
    """The CLI, with an empty pool `bad`."""
    cli.ok("pool", "create", "bad", "--type", "process", "--paused")
    return cli
