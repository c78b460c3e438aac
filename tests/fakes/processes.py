"""Real processes that do what a test tells them: there is nothing to fake, and no wire to cut."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from push_dispatch.core.model import Status
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.process import Process, stop_all
from push_dispatch.platforms.process.attempt import Attempt
from push_dispatch.testing.platform_contract import eventually

__all__ = ["KILLED", "Processes", "push_until"]

#: The exit code of one that `push_until` ends.
KILLED = 3

#: Says that it was started and with what, then does as it is told through a pipe.
_WORKER = """
import os, sys
# The shell that takes the attempt has its folder as an argument; a retry has the same command.
with open(f"/proc/{os.getppid()}/cmdline", "rb") as file:
    attempt = os.fsdecode(file.read().split(b"\\0")[4])
folder = os.path.join(sys.argv[1], os.path.basename(attempt))
os.makedirs(folder, exist_ok=True)
pipe = os.path.join(folder, "orders")
try:
    os.mkfifo(pipe)
except FileExistsError:
    pass
orders = os.fdopen(os.open(pipe, os.O_RDWR), encoding="utf-8")
with open(os.path.join(folder, "env"), "wb") as file:
    file.write(b"\\0".join(k + b"=" + v for k, v in os.environb.items()))
with open(os.path.join(folder, "starts"), "a") as file:
    file.write("started\\n")
for order in orders:
    verb, _, rest = order.rstrip("\\n").partition(" ")
    if verb == "exit":
        sys.exit(int(rest))
    sys.stdout.buffer.write(rest.encode() + b"\\n")
    sys.stdout.buffer.flush()
"""


class Processes:
    """What the contract suite needs, of real processes in a folder of their own."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        root = Path(self._temporary.name)
        self.attempts, self._told = root / "attempts", root / "told"
        self._worker = root / "worker.py"
        self._worker.write_text(_WORKER)
        self.heard: list[Mapping[str, Any]] = []

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PUSH_DISPATCH_PROCESS_DIR": str(self.attempts),
            "PUSH_DISPATCH_PROCESS_GRACE": "5",
        }

    @property
    def command(self) -> str:
        """What jobs execute."""
        return f"{sys.executable} -I -S {self._worker} {self._told}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop_all(self.attempts)
        for thread in threading.enumerate():
            if thread.name.startswith("pd-"):
                thread.join(60)  # It notes down that the end was told.
        started = {path.name: len(_lines(path / "starts")) for path in self._folders()}
        self._temporary.cleanup()
        assert all(count <= 1 for count in started.values()), started

    def starts(self, name: str) -> int:
        """Waits for what has been taken to have begun; nothing else can begin any more."""
        if not Attempt(self.attempts / name).taken:
            return 0
        starts = self._told / name / "starts"
        eventually(lambda: bool(_lines(starts)) or self._is_over(name))
        return len(_lines(starts))

    def calls(self) -> int:
        """Attempts that were prepared: there are no requests."""
        return len(list(self.attempts.glob("*"))) if self.attempts.exists() else 0

    def requests(self, name: str) -> Sequence[object]:
        return [json.loads((self.attempts / name / "job.json").read_text())]

    def environment(self, name: str) -> Mapping[str, str]:
        assert self.starts(name) == 1
        pairs = (self._told / name / "env").read_bytes().split(b"\0")
        return dict(os.fsdecode(pair).split("=", 1) for pair in pairs)

    def begin(self, name: str) -> None:
        eventually(lambda: bool(_lines(self._told / name / "starts")))

    def finish(self, name: str, exit_code: int) -> None:
        self.begin(name)
        self._order(name, f"exit {exit_code}")
        eventually(lambda: self._is_over(name))

    def write_log(self, name: str, line: str) -> None:
        self._order(name, f"log {line}")

    def lose_reply(self, call: int = 0) -> None:
        raise NotImplementedError("there is no wire")

    def throttle_next(self) -> None:
        raise NotImplementedError("there is no wire")

    def leftovers(self) -> list[str]:
        return [p.name for p in self._folders() if not self._is_over(p.name)]

    def events(self, name: str) -> Sequence[Mapping[str, Any]]:
        """What watching has told, once it has told of the end."""

        def ours() -> list[Mapping[str, Any]]:
            return [event for event in self.heard if event["detail"]["handle"] == name]

        eventually(lambda: any(event["detail"]["status"] == Status.ENDED for event in ours()))
        return ours()

    def _is_over(self, name: str) -> bool:
        """Once its end was told, one file keeps it."""
        return any((self.attempts / name / file).exists() for file in ("exit", "reported"))

    def _order(self, name: str, order: str) -> None:
        with (self._told / name / "orders").open("w", encoding="utf-8") as pipe:
            pipe.write(order + "\n")

    def _folders(self) -> list[Path]:
        return list(self._told.iterdir()) if self._told.exists() else []


def push_until(environ: Mapping[str, str], job: Job, step: int) -> None:
    """Push, and end this process at its `step`-th call: open, rename, Popen…"""
    left = [step]

    def die(event: str, _: object) -> None:
        if event.startswith(("open", "os.", "subprocess", "shutil")):
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)

    try:
        platform = Process(environ)
        sys.addaudithook(die)
        platform.push(job)
    finally:
        os._exit(0)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
