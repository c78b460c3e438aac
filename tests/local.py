"""A local runtime in a process of its own, and the CLI as somebody types it."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from push_dispatch.cli.app import run

__all__ = ["Cli", "Done", "LocalUp", "environment", "eventually", "waiting"]

_START_SECONDS = 120
_MAIN = "from push_dispatch.cli import main; main()"
_PROGRAM = [sys.executable, "-c", _MAIN]


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
    """Types commands, in an environment where nothing but our own runtimes can be found.

    Called, it runs them in this process, which spares the second that Python takes to start and to
    load boto3; `typed` starts the program as a shell would. While a command runs here, the whole
    process has its environment: where threads of the process read it, use `typed`.
    """

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        out, err = _stream(), _stream()
        with (
            environment(self.env),
            redirect_stdout(out),
            redirect_stderr(err),
            _input(stdin),
        ):
            code = run(arguments)
        return self._done(code, _text(out), _text(err))

    def typed(self, *arguments: str, stdin: str = "", seconds: float = 120) -> Done:
        """The same in a process of its own."""
        done = subprocess.run(
            [*_PROGRAM, *arguments],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return self._done(done.returncode, done.stdout, done.stderr)

    def _done(self, code: int, out: str, err: str) -> Done:
        assert "Traceback" not in err, err
        assert "[internal_error]" not in err, err
        return Done(code, out, err)

    def ok(self, *arguments: str, stdin: str = "") -> Done:
        """The same, for commands that have to succeed."""
        done = self(*arguments, stdin=stdin)
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


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    content = stream.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode()


@contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """The process has this environment. What stays the same is not touched: at no moment is the
    environment empty."""
    before = dict(os.environ)
    _become(wanted)
    try:
        yield
    finally:
        _become(before)


def _become(wanted: Mapping[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextmanager
def _input(text: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = before


@dataclass
class LocalUp:
    """`push-dispatch local up` as a child."""

    cli: Cli
    options: tuple[str, ...] = ()
    #: Statements that the child executes first, for a runtime that is unlike others.
    before: str = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it says that it is up."""
        self.child = subprocess.Popen(
            [sys.executable, "-c", f"{self.before}\n{_MAIN}", "local", "up", *self.options],
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

    def kill(self) -> None:
        """End it without a chance to do anything, and wait for the end."""
        self.child.kill()
        self.child.communicate(timeout=60)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        self.child.communicate(timeout=60)
        return self.child.returncode


def waiting(cli: Cli, pool: str) -> int:
    """How many runs the queues of a pool hold: a submitted one gets there through the stream."""
    queues = cli.ok("pool", "inspect", pool, "--json").json["queues"]
    return sum(queue["waiting"] for queue in queues)


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Return as soon as the condition holds; fail if it does not within `seconds`. For what the
    stream does later: the condition has to stay true once it is, or a slow machine misses it."""
    assert seconds >= 60, "a busy machine takes ten times as long: less asserts the time, not this"
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.05)
