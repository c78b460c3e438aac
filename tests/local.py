"""A local runtime in a process of its own, and the CLI as somebody types it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

__all__ = ["Cli", "Done", "LocalUp", "eventually"]

_START_SECONDS = 60
_PROGRAM = [sys.executable, "-c", "from push_dispatch.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@dataclass
class Cli:
    """Types commands, in an environment where nothing but our own runtimes can be found."""

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "", seconds: float = 60) -> Done:
        done = subprocess.run(
            [*_PROGRAM, *arguments],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str = "", seconds: float = 60) -> Done:
        """The same, for commands that have to succeed."""
        done = self(*arguments, stdin=stdin, seconds=seconds)
        assert done.code == 0, f"{arguments}: {done.err}"
        return done

    @property
    def env(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PUSH_DISPATCH_"))
        }
        return kept | {
            "XDG_STATE_HOME": str(self.home),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.environ,
        }


@dataclass
class LocalUp:
    """`push-dispatch local up` as a child."""

    cli: Cli
    options: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it says that it is up."""
        self.child = subprocess.Popen(
            [*_PROGRAM, "local", "up", *self.options],
            env=self.cli.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdout is not None
        ready, _, _ = select.select([self.child.stdout], [], [], _START_SECONDS)
        if not ready or "is up" not in self.child.stdout.readline():
            self.child.terminate()
            pytest.fail(f"local up did not start: {self.child.communicate()[1]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        self.child.communicate(timeout=60)
        return self.child.returncode


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as the condition holds; fail if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.05)
