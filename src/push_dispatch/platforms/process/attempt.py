"""What is known of one attempt that is a process? The files in its directory, and the kernel.

A shell of two dozen words stands between the runtime and the user's command. It outlives the
runtime, takes the attempt for itself with a file that only one can create, and leaves behind what
a restarted runtime needs: its own process id, and at the end the exit code.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason

__all__ = ["CLAIM_SECONDS", "Attempt", "halve"]

#: Between the runtime and the command: see there.
_WRAPPER = Path(__file__).with_name("wrapper.sh").read_text("utf-8")
#: From the claim to the pid file: a shell that takes longer has died in between.
CLAIM_SECONDS = 10
_KILLED = 128 + signal.SIGKILL
#: Of an end that was told.
_KEPT = ("run_id", "attempt", "handle", "exit_code", "reason", "message", "started_at", "ended_at")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt's directory. Everything may be asked by several processes at once."""

    dir: Path

    @property
    def name(self) -> str:
        """The job's name."""
        return self.dir.name

    def prepare(self, run_id: str, number: int) -> None:
        """Create the directory. Idempotent."""
        self.dir.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # Logs are its owner's.
        self.dir.mkdir(exist_ok=True, mode=0o700)
        about = {"run_id": run_id, "attempt": number}
        _write(self.dir / "job.json", json.dumps(about))

    @property
    def taken(self) -> bool:
        """Whether a wrapper has taken the attempt: nothing else will ever execute it."""
        return (self.dir / "claimed").exists() or self.reported

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Start a wrapper in a session of its own. Started twice, one of them does nothing.

        Raises OSError.
        """
        with (self.dir / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - executing it is what it is for
                ["/bin/sh", "-c", _WRAPPER, "push-dispatch", str(self.dir), *command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def observe(self) -> Observation | None:
        """What is to be seen; None if there is no such attempt."""
        if (end := _document(self.dir / "reported")) is not None:
            return Observation(status=Status.ENDED, **end)
        about = _document(self.dir / "job.json")
        if about is None:
            return None
        seen = {"run_id": about["run_id"], "attempt": about["attempt"], "handle": self.name}
        started = None if _number(self.dir / "pid") is None else _changed_at(self.dir / "pid")
        code = _number(self.dir / "exit")
        running = Observation(**seen, status=Status.RUNNING, started_at=started)
        if code is not None:
            if self.lingers():
                return running
            ended = _changed_at(self.dir / "exit")
            return Observation(
                **seen, status=Status.ENDED, exit_code=code, started_at=started, ended_at=ended
            )
        if self.process() is not None or self.lingers():
            return running
        if self._starting():
            return Observation(**seen, status=Status.STARTING)
        if self._take() or _number(self.dir / "exit") is not None:
            # From now on no late wrapper can execute it; or it has ended since the first look.
            return self.observe()
        killed = _KILLED if self.stopping else None
        return Observation(
            **seen,
            status=Status.ENDED,
            exit_code=killed,
            reason=None if killed else Reason.INFRASTRUCTURE_FAILURE,
            message=None if killed else "the process is gone and has left no exit code",
            started_at=started,
        )

    def process(self) -> psutil.Process | None:
        """The wrapper, if it is alive."""
        process = self._wrapper()
        return process if process is not None and _is_alive(process) else None

    def _wrapper(self) -> psutil.Process | None:
        """The wrapper, if its number is still its own: a process that got the number meanwhile
        started after the file with the number was written."""
        number = _number(self.dir / "pid")
        if number is None:
            return None
        try:
            process = psutil.Process(number)
            written = (self.dir / "pid").stat().st_mtime
            early = process.create_time() <= written + 1
            # A zombie has no command line any more.
            ours = not _is_alive(process) or str(self.dir) in process.cmdline()
        except (psutil.Error, OSError):
            return None
        return process if early and ours else None

    # -- stopping ---------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether the order to stop was given."""
        return (self.dir / "stop").exists()

    def terminate(self) -> None:
        """Leave the order to stop, and ask the command. Idempotent."""
        if self.dir.is_dir() and not self.reported:
            (self.dir / "stop").touch()
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the command and everything it started in its session, its leader dead or alive."""
        self._signal(signal.SIGKILL)

    def group(self) -> int | None:
        """Return the number of the process group if a process of it is alive.

        The wrapper leads its session, so the group has its number, which the kernel gives to
        nobody else as long as one process of the group is left.
        """
        number = _number(self.dir / "pid")
        if number is None or (self._wrapper() is None and psutil.pid_exists(number)):
            return None  # not started yet, or all of it is gone and the number is another's
        try:
            os.killpg(number, 0)
        except (ProcessLookupError, PermissionError):
            return None
        # Zombies count as well for the kernel: nobody may ever reap them.
        return number if any(map(_is_alive, _members(number))) else None

    def lingers(self) -> bool:
        """Whether it was told to stop and something of it still runs."""
        return self.stopping and self.group() is not None

    def _signal(self, number: signal.Signals) -> None:
        group = self.group()
        if group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)

    # -- files ------------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        """What the command has written, both its outputs."""
        with (
            suppress(FileNotFoundError),
            (self.dir / "log").open(encoding="utf-8", errors="replace") as log,
        ):
            for line in log:
                yield line.rstrip("\n")

    @property
    def reported(self) -> bool:
        """Whether the end was told to whoever watches."""
        return (self.dir / "reported").exists()

    def mark_reported(self, end: Observation) -> None:
        """The end needs to be told no more: one file keeps it, and the log stays. Idempotent."""
        kept = {name: getattr(end, name) for name in _KEPT}
        # The folder may have gone with its retention: there is nothing left to remember.
        with suppress(FileNotFoundError):
            _write(self.dir / "reported", json.dumps(kept))
        log = self.dir / "log"
        with suppress(OSError):
            if not log.stat().st_size:
                log.unlink()
        # The claim last: whatever a crash leaves, the attempt is taken.
        for name in ("job.json", "pid", "exit", "stop", "claimed"):
            (self.dir / name).unlink(missing_ok=True)

    def forget(self, before: float) -> bool:
        """Delete what is left of it if its end was told before this time, in epoch seconds."""
        try:
            old = (self.dir / "reported").stat().st_mtime < before
        except OSError:
            return False
        if old:
            shutil.rmtree(self.dir, ignore_errors=True)
        return old

    def bound_log(self, most: int) -> None:
        """Keep the second half of a log that has grown beyond so many bytes."""
        with suppress(OSError):
            halve(self.dir / "log", most)

    def _take(self) -> bool:
        """Take the attempt as a wrapper does; False if it was taken."""
        try:
            (self.dir / "claimed").touch(exist_ok=False)
        except FileExistsError:
            return False
        # Otherwise it would look like a wrapper that is about to write its process id. Its end may
        # have been reported meanwhile, which removes the file.
        with suppress(FileNotFoundError):
            os.utime(self.dir / "claimed", (0, 0))
        return True

    def _starting(self) -> bool:
        """Taken a moment ago, or not taken yet: a wrapper may be about to."""
        at = _changed_at(self.dir / "claimed") or _changed_at(self.dir / "job.json") or 0
        started = _number(self.dir / "pid") is not None
        return not started and time.time_ns() // 1_000_000 - at < CLAIM_SECONDS * 1000


def halve(log: Path, most: int) -> None:
    """Keep the last half of `most` bytes of a larger file, in place: whoever appends to it goes on
    at its new end. What is appended in this very moment may be lost. Raises OSError."""
    with log.open("r+b") as file:
        if file.seek(0, os.SEEK_END) <= most:
            return
        file.seek(-(most // 2), os.SEEK_END)
        kept = file.read().partition(b"\n")[2]
        file.seek(0)
        file.write(b"[the log was too long: its beginning is gone]\n" + kept)
        file.truncate()


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(text, "utf-8")
    new.replace(path)


def _document(path: Path) -> dict[str, Any] | None:
    with suppress(FileNotFoundError, ValueError):
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return document
    return None


def _number(path: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        return int(path.read_text("utf-8"))
    return None


def _changed_at(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns // 1_000_000
    return None


def _members(group: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(OSError):
            if os.getpgid(process.pid) == group:
                yield process


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
