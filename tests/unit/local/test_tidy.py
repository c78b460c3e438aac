"""Does a runtime remove what its retention says, and bound its logs?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Observation, Pool, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.local.connect import RETENTION_DAYS
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.local.tidy import Tidy
from push_dispatch.platforms.process import Process
from push_dispatch.platforms.process.attempt import Attempt, halve
from tests.local import eventually

DAY = 86_400
END = Observation("etl.x", 1, Status.ENDED, "a", exit_code=3, started_at=1, ended_at=2)


def template(command: str) -> dict[str, object]:
    return {"job_configuration": {"command": command}, "variables": {}}


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_of_an_ended_run_its_log_stays(tmp_path: Path) -> None:
    """And the end itself, which is in the store, is not told again to the next runtime."""
    with LocalRuntime("tidy", tmp_path) as runtime:
        ports = runtime.ports
        create_pool(ports, Pool("loud", "process"), template("echo hello"))
        create_pool(ports, Pool("quiet", "process"), template("true"))
        runs = [submit(ports, Request(pool)).run for pool in ("loud", "quiet")]
        folders = tmp_path / "processes"
        eventually(lambda: files(folders) == ["log", "reported", "reported"])
        loud = ports.store.run("loud", runs[0].uuid)
        assert loud is not None
        assert loud.current is not None
        assert loud.current.handle is not None
        process = ports.platform("process")
        assert isinstance(process, Process)
        assert list(process.logs(loud.current.handle)) == ["hello"]
        process.cancel(loud.current.handle)
        assert files(folders) == ["log", "reported", "reported"]
    with LocalRuntime("tidy", tmp_path) as runtime:
        stored = runtime.ports.store.run("loud", runs[0].uuid)
        assert stored == loud


def ended(folder: Path, name: str, at: float, *, reported: bool = True) -> Attempt:
    attempt = Attempt(folder / name)
    attempt.prepare("etl.x", 1)
    (attempt.dir / "log").write_text("said")
    if reported:
        attempt.mark_reported(END)
        os.utime(attempt.dir / "reported", (at, at))
    return attempt


def test_what_was_kept_for_long_enough_goes(tmp_path: Path) -> None:
    now = 100 * DAY
    process = Process({"PUSH_DISPATCH_PROCESS_DIR": str(tmp_path)})
    old, young = ended(tmp_path, "old", now - 31 * DAY), ended(tmp_path, "young", now - 29 * DAY)
    untold = ended(tmp_path, "untold", 0, reported=False)
    os.utime(untold.dir, (0, 0))
    Tidy(process, (), 0, clock=lambda: now).step()
    assert old.dir.exists(), "it was to be kept for good"
    tidy = Tidy(process, (), RETENTION_DAYS, clock=lambda: now)
    tidy.step()
    assert [a.dir.exists() for a in (old, young, untold)] == [False, True, True]
    assert young.taken


def test_a_crash_in_the_middle_leaves_the_attempt_taken(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path / "a")
    attempt.prepare("etl.x", 1)
    (attempt.dir / "claimed").touch()
    (attempt.dir / "reported").touch()
    (attempt.dir / "claimed").unlink()
    assert attempt.taken
    attempt.mark_reported(END)
    assert files(tmp_path) == ["reported"]
    assert attempt.observe() == END


def test_a_log_is_bounded_while_somebody_writes_to_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
    with (
        log.open("ab") as out,
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=out, text=True
        ) as writer,
    ):
        assert writer.stdin is not None
        for number in range(100):
            writer.stdin.write(f"line {number:04d} {'x' * 89}\n")
        writer.stdin.flush()
        eventually(lambda: log.stat().st_size == 100 * 100)
        Tidy(None, [log, tmp_path / "missing"], 0, most=20_000).step()
        assert log.stat().st_size == 100 * 100, "it is not too long"
        Tidy(None, [log], 0, most=5000).step()
        writer.stdin.write("and on\n")
        writer.stdin.close()
        writer.wait(60)
    lines = log.read_text().splitlines()
    assert lines[0] == "[the log was too long: its beginning is gone]"
    assert [line[:9] for line in lines[1:-1]] == [f"line {n:04d}" for n in range(76, 100)]
    assert lines[-1] == "and on"


def test_one_endless_line_is_bounded_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 10_000)
    halve(log, 1000)
    assert log.stat().st_size < 1000


def test_the_log_of_what_runs_is_bounded(tmp_path: Path) -> None:
    with LocalRuntime("tidy", tmp_path) as runtime:
        ports = runtime.ports
        create_pool(ports, Pool("p", "process"), template("sh -c 'yes | head -c 100000; sleep 60'"))
        run = submit(ports, Request("p")).run
        process = ports.platform("process")
        assert isinstance(process, Process)

        def size() -> int:
            return sum(file.stat().st_size for file in (tmp_path / "processes").rglob("log"))

        eventually(lambda: size() == 100_000)
        process.bound_logs(10_000)
        assert 0 < size() < 10_000
        stored = ports.store.run("p", run.uuid)
        assert stored is not None
        assert stored.current is not None
        process.cancel(stored.current.handle or "")
