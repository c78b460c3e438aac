"""A PostgreSQL of one's own, if the machine has the programs: a cluster in a folder, fsync on."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from benchmarks.beside.sides import until
from tests.ministack import free_port

__all__ = ["Postgres", "programs"]

_USER = "prefect"


def programs() -> Path | None:
    """The folder with `initdb`, `postgres` and `psql`: Debian has them outside of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    on_path = shutil.which("initdb")
    folders = ([Path(on_path).resolve().parent] if on_path else []) + found[::-1]
    whole = [f for f in folders if all((f / p).exists() for p in ("initdb", "postgres", "psql"))]
    return whole[0] if whole else None


class Postgres:
    """A cluster that is up."""

    def __init__(self, folder: Path) -> None:
        bin_ = programs()
        assert bin_ is not None
        self._bin, self._folder, self._port = bin_, folder, free_port()
        folder.mkdir()
        self._user = _user_of_it()
        if self._user:
            shutil.chown(folder, self._user)
        text = subprocess.run([bin_ / "postgres", "-V"], capture_output=True, text=True, check=True)
        self.version = (re.findall(r"[\d.]+", text.stdout) or ["?"])[0]

    @property
    def url(self) -> str:
        """For Prefect."""
        return f"postgresql+asyncpg://{_USER}@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> Self:
        data = str(self._folder / "data")
        self._do("initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale")
        log = (self._folder / "log").open("wb")
        options = ["-D", data, "-h", "127.0.0.1", "-p", str(self._port), "-k", str(self._folder)]
        self._child = subprocess.Popen(
            [self._bin / "postgres", *options], user=self._user, cwd="/", stdout=log, stderr=log
        )
        log.close()
        until(lambda: self._query("SELECT 1") == 0, 60, 0.1)
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.send_signal(signal.SIGINT)  # without waiting for clients
        self._child.wait(60)

    def execute(self, statement: str) -> None:
        """Raises AssertionError."""
        assert self._query(statement) == 0, statement

    def _query(self, statement: str) -> int:
        command = [
            str(self._bin / "psql"),
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self._port),
            "-U",
            _USER,
        ]
        command += ["-d", "postgres", "-c", statement]
        return subprocess.run(command, capture_output=True, check=False).returncode

    def _do(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(command, user=self._user, cwd="/", capture_output=True, check=True)


def _user_of_it() -> str | None:
    """It refuses to be root. None: who we are."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
