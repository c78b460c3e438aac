"""Does a local runtime that is stopped or killed in the middle lose a run, or start one twice?"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from random import Random
from time import sleep

import pytest

from tests.local import Cli, LocalUp, eventually

RUNS = 50


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--aws",)], ids=["file", "emulator"])
def test_stopped_in_the_middle_every_run_ends_and_none_runs_twice(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    cli = Cli(tmp_path / "home")
    marks = tmp_path / "marks"
    marks.touch()
    up = LocalUp(cli, (*options, "--data-dir", str(tmp_path / "data")))
    # However fast the machine is, no more than twenty end before the gate is opened.
    gate = tmp_path / "open"
    held = f"test $(wc -l < {marks}) -le 20 || until test -e {gate}; do sleep 0.2; done"
    script = f'echo "$PUSH_DISPATCH_RUN_ID" >> {marks}; {held}'

    def started() -> list[str]:
        return marks.read_text().split()

    with up:
        cli.ok("pool", "create", "etl", "--type", "process", "--limit", "5")
        command = ("run", "submit", "etl", "--count", str(RUNS), "--", "sh", "-c", script)
        ids = cli.ok(*command).out.split()
        eventually(lambda: len(started()) >= RUNS // 4)
        assert up.stop(signal.SIGTERM) == 0
    assert len(ids) == RUNS
    assert len(started()) < RUNS, "it was not stopped in the middle"
    gate.touch()
    with up:
        done = cli("run", "wait", *ids, "--timeout", "200s", "--json")
        assert {run["state"] for run in done.json} == {"COMPLETED"}, done.err
        assert {len(run["attempts"]) for run in done.json} == {1}
        assert cli.ok("pool", "inspect", "etl", "--json").json["slots_used"] == 0
    assert Counter(started()) == Counter(ids)


KILLS = 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_again_and_again_every_run_ends_and_none_runs_twice(tmp_path: Path) -> None:
    """`kill -9` of the runtime at random moments: the file has what was committed, and jobs that
    still run are taken up again."""
    random = Random(7)
    cli = Cli(tmp_path / "home")
    marks = tmp_path / "marks"
    marks.touch()
    up = LocalUp(cli, ("--data-dir", str(tmp_path / "data")))
    script = f'echo "$PUSH_DISPATCH_RUN_ID" >> {marks}; sleep 0.3'
    ids: list[str] = []
    for kill in range(KILLS):
        up.start()
        if not kill:
            cli.ok("pool", "create", "etl", "--type", "process", "--limit", "5")
        command = ("run", "submit", "etl", "--count", "20", "--", "sh", "-c", script)
        ids += cli.ok(*command).out.split()
        sleep(random.uniform(0, 1.5))  # the moment of the kill is what is random
        up.kill()
    with up:
        done = cli("run", "wait", *ids, "--timeout", "400s", "--json")
        assert Counter(run["state"] for run in done.json) == {"COMPLETED": len(ids)}, done.err
        assert {len(run["attempts"]) for run in done.json} == {1}
        assert cli.ok("pool", "inspect", "etl", "--json").json["slots_used"] == 0
    assert Counter(marks.read_text().split()) == Counter(ids)
