"""Runs, as somebody types the commands: submit, follow, cancel, read."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.local import Cli, eventually

if TYPE_CHECKING:
    import pytest


def test_submit_and_wait_for_a_command_that_succeeds(cli: Cli, pool: str) -> None:
    done = cli.typed("run", "submit", pool, "--wait", "--", "sh", "-c", "echo out; echo err >&2")
    assert done.code == 0
    run_id = done.out.strip()
    assert run_id.startswith(f"{pool}.")
    assert "backend: local runtime 'default'" in done.err
    assert cli.ok("run", "logs", run_id).out.splitlines() == ["out", "err"]


def test_a_command_that_fails_says_so_and_exits_with_1(cli: Cli, pool: str) -> None:
    done = cli.typed("run", "submit", pool, "--wait", "--json", "--", "sh", "-c", "exit 7")
    assert done.code == 1
    [error] = map(json.loads, done.err.splitlines())
    assert error["reason"] == "exit_code"
    run = done.json
    assert (run["state"], run["reason"]) == ("FAILED", "exit_code")
    [attempt] = run["attempts"]
    assert (attempt["number"], attempt["exit_code"]) == (1, 7)
    # The marks of the kernel's coarse clock, of which one tick may hold a whole process.
    assert attempt["started_at"] <= attempt["ended_at"]


def test_inspect_has_what_programs_rely_on(cli: Cli, pool: str) -> None:
    run_id = cli.ok("run", "submit", pool, "--tag", "a", "--name", "x", "--", "true").out.strip()
    cli.ok("run", "wait", run_id, "--timeout", "120s")
    assert "[already_ended]" in cli("run", "cancel", run_id).err
    run = cli.ok("run", "inspect", run_id, "--json").json
    wanted = {"id", "pool", "queue", "state", "reason", "scheduled_time", "attempts"}
    assert wanted <= set(run)
    assert {"number", "handle", "exit_code", "started_at", "ended_at"} <= set(run["attempts"][0])
    assert (run["id"], run["queue"], run["state"]) == (run_id, "default", "COMPLETED")
    assert (run["tags"], run["name"]) == (["a"], "x")
    assert run_id in cli.ok("run", "inspect", run_id).out


def test_a_run_that_fails_is_tried_again(cli: Cli, pool: str, tmp_path: Path) -> None:
    script = f"test -e {tmp_path}/once || {{ touch {tmp_path}/once; exit 1; }}"
    options = ("--retries", "2", "--retry-delay", "1s", "--wait", "--json")
    run = cli.ok("run", "submit", pool, *options, "--", "sh", "-c", script).json
    assert [attempt["exit_code"] for attempt in run["attempts"]] == [1, 0]


def test_cancel_stops_a_running_process_and_frees_its_slot(cli: Cli, pool: str) -> None:
    run_id = cli.ok("run", "submit", pool, "--", "sleep", "900").out.strip()

    def state() -> str:
        return str(cli.ok("run", "inspect", run_id, "--json").json["state"])

    eventually(lambda: state() == "RUNNING")
    assert cli.ok("run", "cancel", run_id).out.strip() == f"{run_id} is CANCELLING."
    done = cli("run", "wait", run_id, "--timeout", "120s")
    assert done.code == 1
    assert "[cancelled_by_user]" in done.err
    eventually(lambda: cli.ok("pool", "inspect", pool, "--json").json["slots_used"] == 0)
    assert cli.ok("run", "cancel", run_id).out.strip() == f"{run_id} is CANCELLED."


def test_a_waiting_run_that_is_cancelled_never_starts(cli: Cli, pool: str, tmp_path: Path) -> None:
    cli.ok("pool", "pause", pool)
    run_id = cli.ok("run", "submit", pool, "--", "touch", str(tmp_path / "started")).out.strip()
    assert cli.ok("run", "cancel", run_id).out.strip() == f"{run_id} is CANCELLED."
    cli.ok("pool", "resume", pool)
    cli.ok("run", "submit", pool, "--wait", "--", "true")
    assert not (tmp_path / "started").exists()


def test_a_run_that_takes_too_long_is_stopped(cli: Cli, pool: str) -> None:
    done = cli("run", "submit", pool, "--timeout", "1s", "--wait", "--json", "--", "sleep", "900")
    assert (done.code, done.json["state"], done.json["reason"]) == (1, "CRASHED", "timed_out")


def test_later_starts_later_and_expiry_keeps_it_from_starting(cli: Cli, pool: str) -> None:
    later = cli.ok("run", "submit", pool, "--in", "2s", "--wait", "--json", "--", "true").json
    started, due = (
        datetime.fromisoformat(text)
        for text in (later["attempts"][0]["started_at"], later["scheduled_time"])
    )
    # Files are marked by the kernel's coarse clock, which is up to a tick behind.
    assert started >= due - timedelta(milliseconds=20)
    cli.ok("pool", "pause", pool)
    done = cli("run", "submit", pool, "--start-within", "1s", "--wait", "--json", "--", "true")
    assert (done.code, done.json["state"], done.json["reason"]) == (1, "CANCELLED", "expired")
    assert done.json["attempts"] == []


def test_the_same_key_makes_one_run(cli: Cli, pool: str) -> None:
    first = cli.ok("run", "submit", pool, "--key", "k", "--", "true").out
    assert cli.ok("run", "submit", pool, "--key", "k", "--", "true").out == first
    assert len(cli.ok("run", "ls", "--pool", pool, "--json").json) == 1


def test_many_at_once_and_the_listing(cli: Cli, pool: str) -> None:
    ids = cli.ok("run", "submit", pool, "--count", "5", "--wait", "--", "true").out.split()
    assert len(set(ids)) == 5
    listed = cli.ok("run", "ls", "--pool", pool, "--state", "COMPLETED", "--json").json
    assert {run["id"] for run in listed} == set(ids)
    assert cli.ok("run", "ls", "--pool", pool, "--limit", "2").out.count(pool) == 2


def test_job_variables_from_pairs_and_files(cli: Cli, pool: str, tmp_path: Path) -> None:
    file = tmp_path / "vars.json"
    file.write_text(json.dumps({"env": {"A": "1"}, "working_dir": str(tmp_path)}))
    options = ("--vars", str(file), "--var", "env.B=2", "--wait")
    done = cli.ok("run", "submit", pool, *options, "--", "sh", "-c", 'echo "$A$B"; pwd')
    assert cli.ok("run", "logs", done.out.strip()).out.split() == ["12", str(tmp_path)]


def test_an_error_is_json_with_json(cli: Cli, pool: str) -> None:
    missing = f"{pool}.0199c1f0-1111-7222-8333-444455556666"
    for arguments, code, reason in (
        (("run", "inspect", missing), 1, "run_not_found"),
        (("pool", "inspect", "nowhere"), 1, "pool_not_found"),
        (("run", "ls", "--limit", "x"), 2, "usage"),
        (("run", "ls", "--nonsense"), 2, "usage"),
    ):
        done = cli(*arguments, "--json")
        assert (done.code, done.out) == (code, "")
        error = json.loads(done.err)
        assert set(error) == {"reason", "message", "remedy"}
        assert error["reason"] == reason
    # Behind -- it belongs to the run.
    assert "error: " in cli("run", "submit", "nowhere", "--", "x", "--json").err


def test_the_exit_code_of_the_process_if_it_is_wanted(cli: Cli, pool: str) -> None:
    options = ("--wait", "--exit-code-from", "run")
    assert cli("run", "submit", pool, *options, "--", "sh", "-c", "exit 7").code == 7
    run_id = cli.ok("run", "submit", pool, *options, "--", "true").out.strip()
    assert cli.ok("run", "wait", run_id, "--exit-code-from", "run").code == 0
    assert "needs --wait" in cli("run", "submit", pool, *options[1:], "--", "true").err


def test_quiet_names_no_backend(cli: Cli, pool: str) -> None:
    assert "backend: " in cli.ok("pool", "inspect", pool).err
    assert cli.ok("pool", "inspect", pool, "--quiet").err == ""
    assert cli.ok("pool", "inspect", pool, "--json").err == ""


def test_ctrl_c_while_it_waits_says_that_the_run_goes_on(
    cli: Cli, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    cli.ok("pool", "pause", pool)
    monkeypatch.setattr("push_dispatch.cli.follow.time.sleep", interrupted)
    done = cli("run", "submit", pool, "--wait", "--", "true")
    run_id = done.out.strip()
    assert done.code == 130
    assert f"run {run_id} goes on" in done.err
    assert f"push-dispatch run cancel {run_id}" in done.err
