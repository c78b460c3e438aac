"""What is known of one attempt that is a process? The files in its directory, and the kernel.

A shell of two dozen words stands between the runtime and the user's command. It outlives the
runtime, takes the attempt for itself with a file that only one can create, and leaves behind what
a restarted runtime needs: its own process id, and at the end the exit code.
"""

from __future__ import annotations

import json
import os
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

__all__ = ["CLAIM_SECONDS", "Attempt"]

#: `$1` is the directory, the rest is the command. The trap keeps the shell alive while the command
#: is asked to stop, so that its exit code is written; a trap is not inherited by the command.
#: Files appear by renaming, whole or not at all. What the shell itself has to say is not logged.
_WRAPPER = """\
dir=$1; shift
set -C
{ : > "$dir/claimed"; } 2> /dev/null || exit 0
set +C
trap : TERM INT HUP
echo $$ > "$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
exec 3>&2 2> /dev/null
if [ -e "$dir/stop" ]; then code=143; else "$@" 2>&3 3>&-; code=$?; fi
echo $code > "$dir/exit.new" && mv "$dir/exit.new" "$dir/exit"
"""

#: From the claim to the pid file: a shell that takes longer has died in between.
CLAIM_SECONDS = 10
_KILLED = 128 + signal.SIGKILL


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
        self.dir.mkdir(parents=True, exist_ok=True)
        about = {"run_id": run_id, "attempt": number}
        _write(self.dir / "job.json", json.dumps(about))

    @property
    def taken(self) -> bool:
        """Whether a wrapper has taken the attempt: nothing else will ever execute it."""
        return (self.dir / "claimed").exists()

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
        about = self._about()
        if about is None:
            return None
        seen = {"run_id": about["run_id"], "attempt": about["attempt"], "handle": self.name}
        started = _changed_at(self.dir / "pid")
        code = _number(self.dir / "exit")
        if code is not None:
            ended = _changed_at(self.dir / "exit")
            return Observation(
                **seen, status=Status.ENDED, exit_code=code, started_at=started, ended_at=ended
            )
        if self.process() is not None:
            return Observation(**seen, status=Status.RUNNING, started_at=started)
        if self._starting():
            return Observation(**seen, status=Status.STARTING)
        if self._take() or (self.dir / "exit").exists():
            # From now on no late wrapper can execute it; or it has ended since the first look.
            return self.observe()
        killed = _KILLED if self.stopping else None
        return Observation(
            **seen,
            status=Status.ENDED,
            exit_code=killed,
            reason=None if killed else "infrastructure_failure",
            message=None if killed else "the process is gone and has left no exit code",
            started_at=started,
        )

    def process(self) -> psutil.Process | None:
        """The wrapper, if it is alive. Another process that got its number meanwhile is not it:
        that one started after the file with the number was written."""
        pid = _number(self.dir / "pid")
        if pid is None:
            return None
        try:
            process = psutil.Process(pid)
            written = (self.dir / "pid").stat().st_mtime
            ours = process.create_time() <= written + 1 and str(self.dir) in process.cmdline()
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, OSError):
            return None

    # -- stopping ---------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether the order to stop was given."""
        return (self.dir / "stop").exists()

    def terminate(self) -> None:
        """Leave the order to stop, and ask the command. Idempotent."""
        if self.dir.is_dir():
            (self.dir / "stop").touch()
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the command and everything it started in its session."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        process = self.process()
        if process is not None:
            # The wrapper leads its session, so its group has its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

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

    def mark_reported(self) -> None:
        """The end needs to be told no more. Idempotent."""
        (self.dir / "reported").touch()

    def _about(self) -> dict[str, Any] | None:
        try:
            about: dict[str, Any] = json.loads((self.dir / "job.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return about

    def _take(self) -> bool:
        """Take the attempt as a wrapper does; False if it was taken."""
        try:
            (self.dir / "claimed").touch(exist_ok=False)
        except FileExistsError:
            return False
        # Otherwise it would look like a wrapper that is about to write its process id.
        os.utime(self.dir / "claimed", (0, 0))
        return True

    def _starting(self) -> bool:
        """Taken a moment ago, or not taken yet: a wrapper may be about to."""
        at = _changed_at(self.dir / "claimed") or _changed_at(self.dir / "job.json") or 0
        started = (self.dir / "pid").exists()
        return not started and time.time_ns() // 1_000_000 - at < CLAIM_SECONDS * 1000


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(text)
    new.replace(path)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _changed_at(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return None
