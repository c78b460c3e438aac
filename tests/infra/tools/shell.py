"""One POSIX shell, into which command after command is typed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

__all__ = ["Failed", "Shell"]


class Failed(Exception):
    """Commands have failed, or have not ended in time."""


class Shell:
    """`sh -e` in a folder. What commands export stays for the next ones; none gets an input. At the
    end of the `with`, or when commands take too long, all that it has started is killed."""

    def __init__(self, folder: Path, environ: Mapping[str, str], made: Path) -> None:
        """`made` is a folder for what is typed and printed."""
        self._made = made
        self._process = subprocess.Popen(
            ["sh", "-e"],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._kill()

    def run(self, code: str, seconds: float) -> tuple[str, str]:
        """What the commands have printed, on standard output and on standard error. Raises Failed
        if one of them fails, or if they have not ended after so many seconds."""
        script, out, err = (self._made / name for name in ("script", "out", "err"))
        script.write_text(code)
        # Not through pipes: a process left behind would hold them open.
        typed = f". '{script}' </dev/null >'{out}' 2>'{err}'; echo done\n"
        why = ""
        try:
            _end(self._process.stdin).write(typed)
            if not self._answers(seconds):
                why = f"exit code {self._process.wait(5)}"
        except BrokenPipeError:
            why = "the shell has ended"
        except TimeoutError:
            why = f"not done after {seconds:.0f} s"
            self._kill()
        printed, message = (path.read_text(errors="replace") for path in (out, err))
        if why:
            raise Failed(f"{why}\n{printed}{message}")
        return printed, message

    def _answers(self, seconds: float) -> bool:
        """Whether the shell says that it is done; False if it has ended. Raises TimeoutError."""
        stdout = _end(self._process.stdout)
        deadline = time.monotonic() + seconds
        while not select.select([stdout], [], [], 0.1)[0]:
            if time.monotonic() > deadline:
                raise TimeoutError
        return stdout.readline() == "done\n"

    def _kill(self) -> None:
        """The shell and what it has started, which is in one process group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            _end(end).close()


def _end(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
